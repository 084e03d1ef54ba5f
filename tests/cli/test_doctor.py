"""`hookline doctor`, run as people run it: every check has its line, its word and what to do next."""

import asyncio
import base64
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from streams.cli import doctor_cluster, doctor_here
from streams.core import hook_secrets, sealing
from streams.core.records import Outgoing
from streams.kafka import admin, topics
from streams.settings import Settings
from tests.cli.commands import Ran, hookline, nobody, publish
from tests.cli.test_health import report
from tests.cli.test_hook import put
from tests.line import environment, hook, hook_id, line

CHECKS = [
    *(
        "settings",
        "networks",
        "master keys",
        "kafka security",
        "tls authorities",
        "names",
        "data directory",
        "local broker",
    ),
    *("versions", "broker", "topics", "router", "sender", "health", "hooks", "reports", "dead letters"),
]
ASKED = CHECKS[CHECKS.index("broker") + 1 :]


def findings(ran: Ran) -> dict[str, dict[str, Any]]:
    """The lines of JSON on stdout, by check, whatever the exit code."""
    return {row["check"]: row for row in map(orjson.loads, ran.stdout.splitlines())}


def results(ran: Ran) -> dict[str, str]:
    return {check: row["result"] for check, row in findings(ran).items()}


def opened(settings: Settings, *cidrs: str) -> Settings:
    """The same settings with networks opened to hooks: these, else loopback."""
    return msgspec.structs.replace(settings, allow_networks=cidrs or ("127.0.0.0/8",))


async def test_a_line_that_is_well_has_no_problem_and_exit_code_0(settings: Settings, tmp_path: Path) -> None:
    async with line(settings, tmp_path) as running:
        await running.ready()
        ran = await asyncio.to_thread(hookline, settings, "doctor")
    found = findings(ran)
    assert list(found) == CHECKS
    assert {check: row["result"] for check, row in found.items() if row["result"] != "ok"} == {
        "networks": "warning",  # these tests open loopback
        "master keys": "warning",
        "data directory": "skipped",
        "local broker": "skipped",
    }
    assert ran.returncode == 0
    assert found["sender"]["seen"] == "1 member, 0 records waiting"
    assert f"HOOKLINE_TOPIC_PREFIX={settings.topic_prefix} (environment)" in found["settings"]["seen"]
    assert ran.stderr == ""


def test_without_topics_the_problem_is_told_once_and_the_exit_code_is_1(settings: Settings) -> None:
    ran = hookline(settings, "doctor")
    assert ran.returncode == 1
    found = findings(ran)
    assert [check for check, row in found.items() if row["result"] == "problem"] == ["topics"]
    assert f"{settings.topic_prefix}hooks.config" in found["topics"]["seen"]
    assert "`hookline topic apply`" in found["topics"]["seen"]
    assert {found[check]["result"] for check in ASKED[1:]} == {"skipped"}


def test_without_a_broker_the_exit_code_is_3_and_what_needs_one_is_skipped() -> None:
    with nobody() as settings:
        ran = hookline(settings, "doctor")
    found = findings(ran)
    assert ran.returncode == 3
    assert list(found) == CHECKS
    assert found["broker"]["result"] == "problem"
    assert "no Kafka broker answers at 127.0.0.1:" in found["broker"]["seen"]
    assert {found[check]["result"] for check in ASKED} == {"skipped"}


def test_settings_that_cannot_be_are_all_told_and_nothing_else_is_tried() -> None:
    environ = environment(Settings()) | {"HOOKLINE_TOPIC_PARTITIONS": "0", "HOOKLINE_NO_SUCH": "1"}
    command = [sys.executable, "-m", "streams", "doctor"]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    found = findings(ran)
    assert (ran.returncode, list(found)) == (1, CHECKS)
    assert "HOOKLINE_TOPIC_PARTITIONS is '0'" in found["settings"]["seen"]
    assert "HOOKLINE_NO_SUCH is no setting" in found["settings"]["seen"]
    assert {found[check]["result"] for check in CHECKS[1:]} == {"skipped"}


def test_what_a_command_left_behind_is_found(applied: Settings) -> None:
    """A record that waits with nobody to take it, a refused hook, a failing one, a dead letter, an open door."""
    put(applied, hook(1, "https://crm.example.com/"), hook(2, "https://crm.example.com/") | {"events": ["No.Such"]})
    put(applied, hook(3, "https://crm.example.com/", enabled=False))
    letter = Outgoing(topic=topics.DEAD_LETTERS, key=b"k", value=b"not json")
    event = Outgoing(topic="identity.user", key=b"u1", value=b"{}")
    publish(applied, letter, event, report(1, good=8, bad=2))
    ran = hookline(opened(applied, "0.0.0.0/0", "10.0.0.0/8"), "doctor")
    found = findings(ran)
    assert ran.returncode == 1
    assert {check: row["result"] for check, row in found.items() if row["result"] in ("warning", "problem")} == {
        "networks": "problem",
        "master keys": "warning",
        "router": "problem",
        "sender": "warning",
        "health": "warning",
        "hooks": "problem",
        "reports": "warning",
        "dead letters": "warning",
    }
    assert "0.0.0.0/0 (everything, " in found["networks"]["seen"]
    assert "10.0.0.0/8 (private)" in found["networks"]["seen"]
    assert found["router"]["seen"] == "0 members, 4 records waiting"  # an event, and three hooks to look through
    assert found["router"]["advice"] == "start one with `hookline run router`"
    assert found["hooks"]["seen"].startswith(
        f"2 hooks in force, 1 disabled; the latest record of 1 is refused: {hook_id(2)}: "
    )
    assert found["reports"]["seen"] == "1 error; fewer than 90 % delivered in 24 hours: hook 1"
    assert found["dead letters"]["seen"] == "1 record in the last 24 hours"


def test_a_hook_whose_master_key_is_missing_is_a_problem(settings: Settings) -> None:
    asyncio.run(admin.apply(settings))
    key = "k1:" + base64.b64encode(bytes(32)).decode()
    value = hook_secrets.sealed(orjson.dumps(hook(1, "https://crm.example.com/")), sealing.ring(key), os.urandom)
    publish(settings, Outgoing(topic=topics.CONFIG, key=hook_id(1).encode(), value=value))
    found = asyncio.run(doctor_cluster.hooks(settings))
    assert found.result == "problem"
    assert found.seen.startswith(f"1 hook in force, 0 disabled; 1 locked, whose deliveries wait: {hook_id(1)}: ")
    with_key = msgspec.structs.replace(settings, master_keys=key)
    assert asyncio.run(doctor_cluster.hooks(with_key)).result == "ok"
    newer = msgspec.structs.replace(settings, master_keys="k2:" + base64.b64encode(b"2" * 32).decode() + "," + key)
    found = asyncio.run(doctor_cluster.hooks(newer))
    assert (found.result, found.advice) == ("warning", "`hookline hook reseal`")
    assert found.seen.endswith("1 not sealed under the current master key")


def test_it_says_which_master_key_seals() -> None:
    key = base64.b64encode(bytes(32)).decode()
    ours = Settings(bootstrap_servers="kafka:9092", master_keys=f"k2:{key},k1:{key}")
    assert doctor_here.master_keys(ours).seen == "k2 seals; only to open: k1"
    assert doctor_here.master_keys(Settings(bootstrap_servers="kafka:9092")).result == "warning"
    assert doctor_here.master_keys(Settings()).result == "skipped"


def test_json_is_one_document() -> None:
    with nobody() as settings:
        ran = hookline(settings, "doctor", "-o", "json")
    assert (ran.returncode, ran.stderr) == (3, "")
    found = orjson.loads(ran.stdout)
    assert [row["check"] for row in found] == CHECKS
    assert all(row.keys() == {"check", "result", "seen", "advice"} for row in found)


def test_a_table_has_a_line_for_each_check_with_what_to_do_and_colours_where_they_are_wanted() -> None:
    with nobody() as settings:
        ran = hookline(opened(settings), "doctor", "-o", "table", before=["--color", "always"])
    heading, *lines = ran.stdout.splitlines()
    assert heading.startswith("result")
    assert len(lines) == len(CHECKS)
    assert lines[1].startswith("\x1b[33mwarning\x1b[0m  networks")
    assert "HOOKLINE_ALLOW_NETWORKS" in lines[1]
    assert lines[CHECKS.index("broker")].startswith("\x1b[31mproblem\x1b[0m  broker")


def test_no_secret_is_in_what_is_printed(tmp_path: Path) -> None:
    secret = "hunter2-not-to-be-seen"
    with nobody() as settings:
        environ = environment(settings) | {"HOOKLINE_SASL_PASSWORD": secret}
        command = [sys.executable, "-m", "streams", "doctor"]
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert "HOOKLINE_SASL_PASSWORD=set (environment)" in findings(ran)["settings"]["seen"]
    assert secret not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("fields", "result", "words"),
    [
        ({}, "ok", "on this machine"),
        ({"bootstrap_servers": "localhost:9092,[::1]:9092"}, "ok", "on this machine"),
        ({"bootstrap_servers": "localhost:9092,kafka-1:9092"}, "warning", "hooks' secrets among them go to kafka-1 in"),
        (
            {"bootstrap_servers": "192.0.2.1:9092", "kafka_security_protocol": "SASL_PLAINTEXT"},
            "warning",
            "and the password go to 192.0.2.1 in the clear",
        ),
        ({"bootstrap_servers": "kafka-1:9092", "kafka_security_protocol": "SASL_SSL"}, "ok", "encrypted"),
        ({"ssl_cafile": "/no-such.pem", "kafka_security_protocol": "SSL"}, "problem", "certificates of HOOKLINE_SSL_"),
    ],
)
def test_what_goes_to_brokers_in_the_clear_is_told(fields: dict[str, str], result: str, words: str) -> None:
    found = doctor_here.kafka_security(msgspec.convert(fields, Settings))
    assert found.result == result
    assert words in found.seen


def test_without_opened_networks_hooks_reach_public_https_alone() -> None:
    assert doctor_here.networks(Settings()).result == "ok"


def test_authorities_that_are_not_there_are_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "none.pem").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert doctor_here.tls_authorities(Settings()).result == "problem"


def test_a_name_that_does_not_resolve_is_told() -> None:
    """One that is refused before anybody is asked: this test sends no packet."""
    found = doctor_here.names(Settings(bootstrap_servers="kafka..internal:9092,localhost:9092"))
    assert found.result == "problem"
    assert "kafka..internal: " in found.seen


def test_a_data_directory_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert doctor_here.data_directory(Settings(data_dir=str(tmp_path / "file" / "data"))).result == "problem"
    assert doctor_here.data_directory(Settings(data_dir=str(tmp_path / "new" / "data"))).result == "ok"
    assert not (tmp_path / "new").exists()


def test_a_local_broker_needs_java_and_its_jars_or_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "java").touch(0o755)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    ours = Settings(data_dir=str(tmp_path))
    assert "`mvn` is not on the PATH" in doctor_here.local_broker(ours).seen
    (tmp_path / "mvn").touch(0o755)
    assert doctor_here.local_broker(ours).result == "ok"
    (tmp_path / "java").unlink()
    assert "`java` is not on the PATH" in doctor_here.local_broker(ours).seen


def test_versions_that_do_not_fit_are_told() -> None:
    wanted = ["aiokafka==0.1", "no-such-package>=1", "msgspec>=0.1", "aiohttp<1; python_version < '3'"]
    told = list(doctor_here.unmet(wanted))
    assert [words.split()[0] for words in told] == ["aiokafka", "no-such-package>=1"]
