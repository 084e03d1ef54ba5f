"""Every way into a secured cluster, and one sentence and exit code 3 for every way that does not lead in."""

from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
import uvloop

from streams.core.errors import BrokerRefuses, BrokerUnreachable, InvalidInput
from streams.core.records import Outgoing
from streams.kafka import admin, clients, reader, rights, security
from streams.kafka.clients import TopicPartition
from streams.kafka.publisher import publisher
from streams.settings import Settings
from tests.cli.commands import hookline
from tests.kafka.certificates import Authority
from tests.kafka.secured import MECHANISMS, Secured, password, token_file
from tests.line import Role

TOPIC = "identity.user"


@pytest.fixture
async def topics(secured: Secured, plain: Settings) -> Settings:
    """All topics, made by the super user; the operator may do with them what operators may."""
    await admin.apply(plain)
    await secured.grant(*rights.of(plain, "operator"))
    return plain


async def written_and_read(settings: Settings) -> list[bytes | None]:
    """What a producer, an admin client and a consumer of these settings do together."""
    async with publisher(settings) as out:
        (place,) = await out.publish([Outgoing(topic=TOPIC, key=b"k", value=b"by " + settings.sasl_mechanism.encode())])
    assert len(await reader.partitions(settings, [place.topic])) == 3
    starts = {TopicPartition(place.topic, place.partition): place.offset}
    return [record.value async for record in reader.to_end(settings, starts)]


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_producer_consumer_and_admin_come_in_by(secured: Secured, topics: Settings, mechanism: str) -> None:
    settings = secured.settings(topics, "operator", mechanism)
    assert await written_and_read(settings) == [b"by " + mechanism.encode()]


@pytest.mark.parametrize("key_password", ["", "of-the-key"])
async def test_they_come_in_by_client_certificate(secured: Secured, topics: Settings, key_password: str) -> None:
    assert await written_and_read(secured.by_certificate(topics, "operator", key_password)) == [b"by PLAIN"]


async def test_a_token_that_is_renewed_in_its_file_is_taken_from_the_next_connection_on(
    secured: Secured, plain: Settings, tmp_path: Path
) -> None:
    file = token_file(tmp_path, "operator", lasts_s=-60)
    settings = secured.settings(plain, "operator", "OAUTHBEARER", sasl_oauth_token_file=str(file))
    provider = security.options(settings)["sasl_oauth_token_provider"]
    for client in (clients.admin(settings), clients.producer(settings), clients.consumer(settings, group="g")):
        with pytest.raises(BrokerRefuses, match="TOKEN_FILE holds a token that has not expired"):
            async with client:
                pass
    old = await provider.token()
    token_file(tmp_path, "operator")
    assert await provider.token() != old
    await admin.topic_names(settings)


@pytest.mark.parametrize(
    ("text", "why"), [(None, "No such file"), (b" \n", "no token"), (b"a\x01b", "no token"), (b"\xff", "no token")]
)
async def test_a_file_without_a_token_is_invalid_input(
    secured: Secured, plain: Settings, tmp_path: Path, text: bytes | None, why: str
) -> None:
    file = tmp_path / "token"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(InvalidInput, match=f"HOOKLINE_SASL_OAUTH_TOKEN_FILE={file} gives no token: .*{why}"):
        await admin.topic_names(secured.settings(plain, "operator", "OAUTHBEARER", sasl_oauth_token_file=str(file)))


def test_a_consumer_that_waits_for_records_is_closed_without_the_brokers_goodbye(
    secured: Secured, topics: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On uvloop, as roles run: while a broker holds a fetch it reads nothing, and a goodbye may take half a minute."""
    told: list[str] = []
    monkeypatch.setattr(clients, "CLOSE_S", 2.0)
    monkeypatch.setattr(clients, "log", lambda event, *_, **__: told.append(event))
    settings = secured.settings(topics, "operator")

    async def read_and_leave() -> None:
        starts = dict.fromkeys(await reader.partitions(settings, [settings.topic_prefix + TOPIC]), -1)
        async with publisher(settings) as out:
            await out.publish(Outgoing(topic=TOPIC, key=b"%d" % number, value=b"x") for number in range(10))
        for _ in range(14):
            assert len([record async for record in reader.to_end(settings, starts)]) == 10

    uvloop.run(read_and_leave())
    assert told == []


def test_tls_is_1_2_at_least_and_verifies_certificate_and_host_name(secured: Secured, plain: Settings) -> None:
    context = security.ssl_context(secured.settings(plain, "operator"))
    assert context.minimum_version.name == "TLSv1_2"
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"wrong password, {mechanism}": (
            {"sasl_mechanism": mechanism, "sasl_password": "wrong"},
            "'operator' in: see HOOKLINE_SASL_USERNAME, HOOKLINE_SASL_PASSWORD",
        )
        for mechanism in MECHANISMS
        if mechanism != "OAUTHBEARER"
    },
    "unknown user": ({"sasl_username": "stranger"}, "the user 'stranger' in: see HOOKLINE_SASL_USERNAME"),
    "no SASL": ({"kafka_security_protocol": "SSL"}, "see that HOOKLINE_KAFKA_SECURITY_PROTOCOL=SSL is what"),
    "no TLS": ({"kafka_security_protocol": "PLAINTEXT"}, "see that HOOKLINE_KAFKA_SECURITY_PROTOCOL=PLAINTEXT is what"),
    "SASL, but no TLS": (
        {"kafka_security_protocol": "SASL_PLAINTEXT"},
        "see that HOOKLINE_KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT is what",
    ),
    "the system's authorities": ({"ssl_cafile": ""}, "is not trusted (.*): name .* in HOOKLINE_SSL_CAFILE"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_the_way_in_is_barred_in_one_sentence_that_names_the_setting(
    secured: Secured, plain: Settings, case: str
) -> None:
    changed, sentence = REFUSED[case]
    with pytest.raises(BrokerUnreachable, match=sentence.replace("(.*)", r"\(.*\)")) as refusal:
        await admin.topic_names(secured.settings(plain, "operator", **changed))
    assert refusal.value.exit_code == 3
    assert "\n" not in str(refusal.value)
    assert password("operator") not in str(refusal.value)


async def test_a_certificate_of_an_unknown_authority_is_not_trusted(
    secured: Secured, plain: Settings, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other authority")
    with pytest.raises(
        BrokerRefuses, match=r"not trusted \(.*\): name the file with its authority in HOOKLINE_SSL_CAF"
    ):
        await admin.topic_names(secured.settings(plain, "operator", ssl_cafile=str(other.cafile)))


async def test_a_certificate_for_another_name_is_not_taken(secured: Secured, plain: Settings) -> None:
    elsewhere = secured.sasl.replace("127.0.0.1", "localhost")
    with pytest.raises(BrokerRefuses, match="is not for localhost: name the broker in HOOKLINE_BOOTSTRAP_SERVERS"):
        await admin.topic_names(secured.settings(plain, "operator", bootstrap_servers=elsewhere))


async def test_tls_with_a_listener_that_has_none_says_so(secured: Secured, plain: Settings) -> None:
    with pytest.raises(BrokerUnreachable, match="HOOKLINE_KAFKA_SECURITY_PROTOCOL"):
        await admin.topic_names(secured.settings(plain, "operator", bootstrap_servers=plain.bootstrap_servers))


@pytest.mark.parametrize("named", ["no certificate", "one of an unknown authority"])
async def test_a_client_certificate_that_the_broker_refuses_is_told(
    secured: Secured, plain: Settings, tmp_path: Path, named: str
) -> None:
    file = "" if named == "no certificate" else str(Authority(tmp_path, "other authority").issue("operator"))
    settings = msgspec.structs.replace(secured.by_certificate(plain, "operator"), ssl_certfile=file)
    with pytest.raises(
        BrokerRefuses, match=r"refuses this client's certificate, or wants one .* HOOKLINE_SSL_CERTFILE"
    ):
        await admin.topic_names(settings)


@pytest.mark.parametrize("what", ["missing", "none", "of an encrypted key, without its password"])
def test_a_client_certificate_that_cannot_be_used_is_invalid_input_and_asks_nothing_on_the_terminal(
    secured: Secured, plain: Settings, tmp_path: Path, what: str
) -> None:
    file = tmp_path / "certificate.pem"
    if what == "none":
        file.write_text("nothing")
    elif what != "missing":
        file = Authority(tmp_path, "authority").issue("operator", password="secret")
    settings = msgspec.structs.replace(secured.by_certificate(plain, "operator"), ssl_certfile=str(file))
    ran = hookline(settings, "topic", "plan", typed="x\n")
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "cannot use the certificates of HOOKLINE_SSL_CAFILE" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_command_that_is_not_let_in_says_one_sentence_and_exits_3(secured: Secured, plain: Settings) -> None:
    ran = hookline(secured.settings(plain, "operator", sasl_password="wrong"), "hook", "list")
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith(f"hookline: the broker at {secured.sasl} does not let the user 'operator' in: ")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["router", "sender"])
async def test_a_role_that_is_not_let_in_ends_with_one_line_and_exit_code_3(
    secured: Secured, plain: Settings, tmp_path: Path, name: str
) -> None:
    role = Role(name, secured.settings(plain, name, sasl_password="wrong"), tmp_path, "a")
    await role.start()
    assert await role.died() == 3
    (line,) = role.log.read_text().splitlines()
    assert orjson.loads(line)["event"] == "role.failed"
    assert "see HOOKLINE_SASL_USERNAME, HOOKLINE_SASL_PASSWORD" in orjson.loads(line)["reason"]
