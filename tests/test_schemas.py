"""The published schemas say what the code does: generated from its types, and of one mind with it about any record."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.cli import schema, schema_asyncapi, schema_check, schema_documents, schema_examples
from streams.cli.schema_headers import DeadLetterHeaders, EventHeaders, JobHeaders, RequestHeaders
from streams.core import jobs, signing
from streams.core.catalogue import EVENTS
from streams.core.samples import sample
from streams.kafka import topics
from streams.settings import Settings

COMMITTED = Path(__file__).parents[1] / "schemas"
FILES = schema.files()
DOCUMENTS = schema_documents.documents()
ASYNCAPI = schema_asyncapi.document()
VALIDATORS = {name: jsonschema_rs.Draft202012Validator(document) for name, document in DOCUMENTS.items()}
TYPES = {name: entry.type for name, entry in schema_documents.entries().items()}

Json = Any

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 3, 4, 20, 21, 64, 65, 1000, 30_000, 30_001, 86_400, 86_401, 2**63]),
    st.floats(-1e6, 1e6).filter(lambda number: not number.is_integer()),
    st.sampled_from(["", "default", "both", "Success", "0" * 21, "0" * 21 + "\n", "a" * 32, "a" * 65, "x" * 1025, "é"]),
)
names = ["", "event", "id", "limit", "periodMs", "scheduleSeconds", "on", "class", "é"]
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(names), inner, max_size=3)
)
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def paths(node: Json, path: tuple[Json, ...] = ()) -> list[tuple[Json, ...]]:
    """Every place in a JSON value, the outermost first."""
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path] + [place for key, child in members for place in paths(child, (*path, key))]


def changed(node: Json, path: tuple[Json, ...], value: Json) -> Json:
    """A copy with another value at one place; without that place when the value is `...`."""
    if not path:
        return node if value is ... else value
    node = copy.copy(node)
    if len(path) == 1 and value is ...:
        del node[path[0]]
    else:
        node[path[0]] = changed(node[path[0]], path[1:], value)
    return node


@st.composite
def nearly(draw: st.DrawFn, name: str) -> Json:
    """One of a schema's examples with up to two places changed, emptied or taken out."""
    node = draw(st.sampled_from(DOCUMENTS[name]["examples"]))
    for _ in range(draw(st.integers(0, 2))):
        node = changed(node, draw(st.sampled_from(paths(node))), draw(values | st.just(...)))
        if not isinstance(node, dict):
            break
    return node


def resolved(reference: str) -> Json:
    node: Json = ASYNCAPI
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def references(node: Json) -> list[str]:
    if isinstance(node, dict):
        found = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return found + [reference for child in node.values() for reference in references(child)]
    return [reference for child in node for reference in references(child)] if isinstance(node, list) else []


def channel_validator(part: Json) -> jsonschema_rs.Draft7Validator:
    """A validator for a schema inside the AsyncAPI document, whose dialect grows from draft 07."""
    return jsonschema_rs.Draft7Validator({"allOf": [part], "components": ASYNCAPI["components"]})


# The files


@pytest.mark.parametrize("name", FILES)
def test_a_committed_file_is_what_the_code_generates(name: str) -> None:
    assert (COMMITTED / name).read_bytes() == FILES[name], "run `make schemas` and commit the difference"


def test_no_other_file_is_committed_beside_them() -> None:
    assert {path.name for path in COMMITTED.iterdir()} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_plain_json_that_ends_its_last_line(name: str) -> None:
    assert FILES[name].endswith(b"}\n")
    assert json.loads(FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_a_file_speaks_to_strangers(name: str) -> None:
    """No pattern that only Python reads, no section of a paper that readers do not have."""
    assert not [word for word in (b"\\\\Z", b"CONTRACT", b"research", b"DESIGN") if word in FILES[name]]


# JSON Schema


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_schema_is_valid_2020_12_with_id_title_description_and_examples_that_fit(name: str) -> None:
    document = DOCUMENTS[name]
    jsonschema_rs.meta.validate(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$id"] == f"https://hookline.invalid/schemas/{name}.schema.json"
    assert document["title"]
    assert document["description"]
    assert document["examples"]
    for example in document["examples"]:
        VALIDATORS[name].validate(example)


def test_every_event_of_the_catalogue_has_an_example_in_its_place() -> None:
    assert [example["event"] for example in DOCUMENTS["identity-event"]["examples"]] == list(EVENTS)


@unhurried
@given(st.sampled_from(list(EVENTS)), st.integers(0, 2**32))
def test_every_sample_is_valid(event: str, seed: int) -> None:
    VALIDATORS["identity-event"].validate(sample(event, now_ms=1_790_000_000_000, seed=seed))


@pytest.mark.parametrize("name", TYPES)
@unhurried
@given(data=st.data())
def test_type_and_schema_agree_about_any_record(name: str, data: st.DataObject) -> None:
    record = data.draw(nearly(name))
    try:
        msgspec.json.decode(msgspec.json.encode(record), type=TYPES[name])
        accepted = True
    except msgspec.ValidationError:
        accepted = False
    assert VALIDATORS[name].is_valid(record) is accepted


@unhurried
@given(nearly("identity-event"))
def test_router_and_schema_agree_about_any_event(record: Json) -> None:
    verdict = schema_check.verdict("identity-event", msgspec.json.encode(record), Settings())
    assert VALIDATORS["identity-event"].is_valid(record) is (verdict.reason is None)


@pytest.mark.parametrize("text", ["1.0", "1e2"])
def test_known_difference_a_whole_number_written_as_a_float_is_refused_though_the_schema_takes_it(text: str) -> None:
    """JSON Schema calls 1.0 an integer; the type does not, and nobody writes milliseconds so."""
    record = msgspec.json.encode(schema_examples.HOOK)
    record = record.replace(b'"createdAt":1789913600000', f'"createdAt":{text}'.encode())
    assert VALIDATORS["hook"].is_valid(json.loads(record))
    with pytest.raises(msgspec.ValidationError, match="createdAt"):
        msgspec.json.decode(record, type=TYPES["hook"])


def test_known_difference_only_hookline_knows_where_a_url_may_point() -> None:
    record = changed(DOCUMENTS["hook"]["examples"][0], ("config", "url"), "https://localhost/hook")
    assert VALIDATORS["hook"].is_valid(record)
    assert schema_check.verdict("hook", msgspec.json.encode(record), Settings()).reason == "bad-hook"


def test_known_difference_an_operators_own_event_is_not_in_the_published_catalogue() -> None:
    record = {"event": "Parcel.Sent"}
    settings = Settings(extra_events={"Parcel.Sent": "identity.user"})
    assert not VALIDATORS["identity-event"].is_valid(record)
    assert schema_check.verdict("identity-event", msgspec.json.encode(record), settings).reason is None


# Headers: the types against what the code writes and reads


def test_a_job_must_have_the_headers_that_the_sender_insists_on() -> None:
    required = {field.encode_name for field in msgspec.structs.fields(JobHeaders) if field.required}
    assert required == set(jobs.REQUIRED)


def test_the_examples_of_headers_are_what_the_roles_write_with_nothing_left_out() -> None:
    written: dict[type[msgspec.Struct], dict[str, str]] = {
        JobHeaders: schema_examples.job_headers(),
        DeadLetterHeaders: schema_examples.dead_letter_headers(),
        EventHeaders: schema_examples.event_headers(),
        RequestHeaders: {k: v for k, v in schema_examples.request()[0].items() if k != "x-team"},
    }
    for type_, headers in written.items():
        msgspec.convert(headers, type_)
        assert set(headers) <= {field.encode_name for field in msgspec.structs.fields(type_)}


def test_the_request_names_its_signatures_as_the_signing_code_does() -> None:
    names = {field.encode_name for field in msgspec.structs.fields(RequestHeaders)}
    assert {signing.LOGTO_SIGNATURE, signing.WEBHOOK_ID, signing.WEBHOOK_TIMESTAMP, signing.WEBHOOK_SIGNATURE} < names
    assert {signing.WEBHOOK_SEQUENCE, signing.WEBHOOK_KEY} < names


# AsyncAPI


@pytest.mark.parametrize("topic", topics.TOPICS, ids=lambda topic: topic.name)
def test_a_topic_is_a_channel_with_its_partitions_and_settings(topic: topics.Topic) -> None:
    channel = ASYNCAPI["channels"][topic.name]
    kafka = channel["bindings"]["kafka"]
    configuration = dict(kafka["topicConfiguration"])
    assert channel["address"] == kafka["topic"] == topic.name
    assert kafka["partitions"] == (topic.partitions or 12)
    assert kafka["bindingVersion"] == "0.5.0"
    assert configuration.pop("cleanup.policy") == [topic.cleanup]
    assert configuration.get("retention.ms") == topic.retention_ms
    expected = topics.configuration(topic)
    assert {name: str(value) for name, value in configuration.items()} | {"cleanup.policy": topic.cleanup} == expected


def test_the_only_other_channel_is_the_endpoint_of_a_hook() -> None:
    assert set(ASYNCAPI["channels"]) == {topic.name for topic in topics.TOPICS} | {"endpoint"}


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_a_message_of_its_topic_with_an_example(event: str) -> None:
    carriers = [name for name, channel in ASYNCAPI["channels"].items() if event in channel["messages"]]
    assert carriers == [EVENTS[event]]
    (example,) = ASYNCAPI["components"]["messages"][event]["examples"]
    assert example["payload"]["event"] == event


def test_the_request_is_sent_by_post_with_both_signatures() -> None:
    operation = ASYNCAPI["operations"]["sender-posts-to-endpoint"]
    assert operation["action"] == "send"
    assert operation["channel"] == {"$ref": "#/channels/endpoint"}
    assert operation["bindings"]["http"]["method"] == "POST"
    headers = resolved(resolved("#/components/messages/request")["headers"]["$ref"])
    assert {"webhook-id", "webhook-timestamp", "webhook-signature", "logto-signature-sha-256"} <= set(
        headers["properties"]
    )


def test_the_document_has_what_asyncapi_3_requires() -> None:
    assert ASYNCAPI["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(ASYNCAPI["info"])
    assert all({"host", "protocol"} <= set(server) for server in ASYNCAPI["servers"].values())
    assert all("messages" in channel and "address" in channel for channel in ASYNCAPI["channels"].values())
    for operation in ASYNCAPI["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert resolved(operation["channel"]["$ref"])
    assert set(ASYNCAPI["components"]) == {"schemas", "messages", "messageTraits"}


def test_every_reference_leads_somewhere() -> None:
    assert all(resolved(reference) is not None for reference in references(ASYNCAPI))


def test_every_message_is_on_a_channel_and_has_a_key_unless_it_is_the_request() -> None:
    carried = {name for channel in ASYNCAPI["channels"].values() for name in channel["messages"]}
    assert carried == set(ASYNCAPI["components"]["messages"])
    for name, message in ASYNCAPI["components"]["messages"].items():
        parts = [message, *(resolved(trait["$ref"]) for trait in message.get("traits", []))]
        assert name == "request" or any("key" in part.get("bindings", {}).get("kafka", {}) for part in parts)


@pytest.mark.parametrize("name", ASYNCAPI["components"]["messages"])
def test_the_examples_of_a_message_fit_its_headers_and_payload(name: str) -> None:
    message = ASYNCAPI["components"]["messages"][name]
    for example in message.get("examples", []):
        for part in ("headers", "payload"):
            if part in example and part in message:
                channel_validator(message[part]).validate(example[part])


def test_every_operation_of_a_consumer_group_names_it() -> None:
    groups = {
        name: operation["bindings"]["kafka"]["groupId"]["enum"]
        for name, operation in ASYNCAPI["operations"].items()
        if "-reads-" in name
    }
    assert groups
    assert all(group == [f"hookline-{name.split('-')[0]}"] for name, group in groups.items())
