"""The files for containers hold together, as far as can be told without an engine to run them."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema_rs
import pytest
from click import Context, Group
from ruamel.yaml import YAML

from streams import settings
from streams.cli import cli
from streams.kafka.broker_jars import KAFKA
from streams.kafka.topics import RECORD_BYTES_MAX

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if name != "kafka"}
each_of_ours = pytest.mark.parametrize("service", OURS.values(), ids=OURS.keys())
each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES.keys())


def interpolated(value: str) -> str:
    """A value as compose sees it when no variable is set."""
    return re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)


def environment(service: dict[str, Any]) -> dict[str, str]:
    return {name: interpolated(value) for name, value in service["environment"].items()}


def test_it_is_valid_by_the_compose_specification() -> None:
    # Found without importing check_jsonschema, whose command line needs a newer click than Faust allows.
    spec = find_spec("check_jsonschema")
    assert spec
    assert spec.submodule_search_locations
    schema = Path(spec.submodule_search_locations[0]) / "builtin_schemas/vendor/compose-spec.json"
    errors = jsonschema_rs.validator_for(json.loads(schema.read_bytes())).iter_errors(COMPOSE)
    assert [error.message for error in errors] == []
    assert "version" not in COMPOSE  # obsolete


@each_of_ours
def test_every_variable_is_a_setting_with_a_value_that_loads(service: dict[str, Any]) -> None:
    loaded = settings.load(environment(service))
    assert loaded.metrics_port


@each_of_ours
def test_every_command_exists(service: dict[str, Any]) -> None:
    group: Any = cli
    context = Context(group)
    words = list(service["command"])
    while isinstance(group, Group):
        group = group.get_command(context, words.pop(0))
        assert group
    group.parse_args(Context(group), words)


@each_of_ours
def test_our_processes_have_no_rights_they_do_not_need(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert all(mount.startswith("/tmp:") for mount in service["tmpfs"])
    assert "ports" not in service
    assert "volumes" not in service


@each_service
def test_every_process_is_bounded_and_reaped(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert service["mem_limit"]
    assert service["logging"]["options"]["max-size"]
    assert not service.get("privileged")


@each_service
def test_nothing_is_published_beyond_loopback(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_services_wait_for_what_they_need() -> None:
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert "test" in SERVICES["kafka"]["healthcheck"]
    for role in ("router", "sender", "health"):
        assert SERVICES[role]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}
    assert set(SERVICES) == {"kafka", "topics", "router", "sender", "health"}


@each_of_ours
def test_addresses_and_ports_agree(service: dict[str, Any]) -> None:
    kafka = SERVICES["kafka"]["environment"]
    ours = environment(service)
    assert f"INSIDE://{ours['HOOKLINE_BOOTSTRAP_SERVERS']}" in kafka["KAFKA_ADVERTISED_LISTENERS"].split(",")
    if "test" in service["healthcheck"]:
        assert f"http://127.0.0.1:{ours['HOOKLINE_METRICS_PORT']}/ready" in service["healthcheck"]["test"][-1]


def test_the_published_broker_is_the_one_that_commands_look_for() -> None:
    kafka = SERVICES["kafka"]
    host, _, port = settings.LOCAL_BROKER.rpartition(":")
    assert f"HOST://{host}:{port}" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert kafka["ports"] == [f"{host}:{port}:{port}"]
    assert kafka["healthcheck"]["test"][-1] == settings.LOCAL_BROKER


def test_kafka_keeps_its_records_and_takes_ours() -> None:
    kafka = SERVICES["kafka"]
    (volume,) = kafka["volumes"]
    assert volume.split(":") == ["kafka-data", kafka["environment"]["KAFKA_LOG_DIRS"]]
    assert "kafka-data" in COMPOSE["volumes"]
    assert kafka["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert int(kafka["environment"]["KAFKA_MESSAGE_MAX_BYTES"]) >= RECORD_BYTES_MAX


def test_one_version_of_kafka_everywhere() -> None:
    pom = ElementTree.parse(ROOT / "deploy/kafka/pom.xml")
    found = pom.findtext(".//{*}dependency[{*}artifactId='kafka_2.13']/{*}version")
    assert found == KAFKA
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA}"


def test_the_image_is_built_from_what_the_repository_has() -> None:
    sources = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)]
    named = [name for names in sources for name in names]
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(named) == sorted(allowed)
    assert all((ROOT / name).exists() for name in named)
    build = SERVICES["router"]["build"]
    assert (ROOT / build["context"] / build["dockerfile"]).is_file()


def test_the_image_installs_only_what_is_locked() -> None:
    installs = re.findall(r"pip install ([^\n]*)", DOCKERFILE)
    assert installs
    for words in map(str.split, installs):
        assert "--require-hashes" in words or "--no-index" in words
    assert "://" not in DOCKERFILE


def test_the_image_does_not_run_as_root() -> None:
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    user = re.search(r"^USER (\d+):(\d+)$", last_stage, re.MULTILINE)
    assert user
    assert int(user[1]) >= 1000
    assert 'ENTRYPOINT ["hookline"]' in last_stage
