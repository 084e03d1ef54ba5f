"""Settings: environment over file over defaults, every problem at once, and no secret ever printed."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import settings
from streams.core import catalogue
from streams.core.errors import InvalidInput
from streams.settings import Settings, load, sources

SECRET = "hunter2-not-to-be-seen"


LOCAL = Settings(allow_networks=settings.LOOPBACK)


def test_nothing_configured_gives_the_defaults() -> None:
    assert load({}) == LOCAL


def test_loopback_is_open_to_hooks_only_on_the_local_broker() -> None:
    """Trying things out needs receivers on this machine; a cluster that somebody named is no place for that."""
    assert load({}).allow_networks == settings.LOOPBACK
    assert load({"HOOKLINE_BOOTSTRAP_SERVERS": "kafka:9092"}).allow_networks == ()
    assert load({"HOOKLINE_ALLOW_NETWORKS": "10.1.0.0/16"}).allow_networks == ("10.1.0.0/16",)


def test_variables_of_other_programs_are_ignored() -> None:
    assert load({"PATH": "/bin", "TOPIC_PREFIX": "x.", "hookline_topic_prefix": "x."}) == LOCAL


def test_options_win_over_the_environment_over_the_file_over_defaults(tmp_path: Path) -> None:
    environ = config(tmp_path, 'topic_prefix = "file."\ninstance = "file"\nlog_level = "debug"')
    environ |= {"HOOKLINE_INSTANCE": "environment", "HOOKLINE_LOG_LEVEL": "warning"}
    options = {"log_level": "error", "bootstrap_servers": None}
    loaded = load(environ, options)
    assert (loaded.topic_prefix, loaded.instance, loaded.log_level) == ("file.", "environment", "error")
    assert loaded.bootstrap_servers == ""


def test_the_source_of_each_setting_is_known(tmp_path: Path) -> None:
    environ = config(tmp_path, 'topic_prefix = "file."\ninstance = "file"') | {"HOOKLINE_INSTANCE": "environment"}
    origin = sources(environ, {"log_level": "error", "bootstrap_servers": None})
    assert origin.keys() == set(Settings.__struct_fields__)
    assert {name: source for name, source in origin.items() if source != "default"} == {
        "topic_prefix": "file",
        "instance": "environment",
        "log_level": "option",
        "allow_networks": "local broker",
    }


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    environ = config(tmp_path, "topic_partitions = 0\nno_such_key = 1")
    environ |= {
        "HOOKLINE_RETRY_PROFILE": "often",
        "HOOKLINE_EXTRA_EVENTS": "A.B",
        "HOOKLINE_ALLOW_NETWORKS": "10.0.0.1/8, nowhere",
        "HOOKLINE_NO_SUCH_VARIABLE": "1",
    }
    words = problems(environ)
    assert len(words.splitlines()) == 6
    for word in (
        "HOOKLINE_TOPIC_PARTITIONS is 0",
        "no_such_key is no setting",
        "HOOKLINE_RETRY_PROFILE is 'often': it must be one of logto, default, standard",
        "'A.B', which is not name=topic",
        "10.0.0.1/8 has host bits set; 'nowhere' does not appear to be",
        "HOOKLINE_NO_SUCH_VARIABLE is no setting; `hookline config show` lists them all",
    ):
        assert word in words


def test_what_is_refused_is_invalid_input_with_exit_code_4() -> None:
    with pytest.raises(InvalidInput) as refusal:
        load({"HOOKLINE_METRICS_PORT": "web"})
    assert refusal.value.exit_code == 4


@pytest.mark.parametrize("text", ["topic_prefix = ", 'topic_prefix = "a"\ntopic_prefix = "b"', "\x00"])
def test_a_file_that_is_no_toml_is_a_problem_with_its_name(tmp_path: Path, text: str) -> None:
    assert str(tmp_path / "hookline.toml") in problems(config(tmp_path, text))


def test_a_file_that_does_not_exist_is_a_problem_with_its_name(tmp_path: Path) -> None:
    assert "missing.toml" in problems({"HOOKLINE_CONFIG": str(tmp_path / "missing.toml")})


def test_an_invalid_value_in_the_file_matters_only_where_the_environment_does_not_hide_it(tmp_path: Path) -> None:
    environ = config(tmp_path, 'topic_partitions = "many"')
    assert "HOOKLINE_TOPIC_PARTITIONS is 'many'" in problems(environ)
    assert load(environ | {"HOOKLINE_TOPIC_PARTITIONS": "3"}).topic_partitions == 3


@pytest.mark.parametrize(
    ("name", "below", "least", "most", "above"),
    [
        ("topic_partitions", "0", "1", "256", "257"),
        ("metrics_port", "-1", "0", "65535", "65536"),
        ("router_batch_max", "0", "1", "5000", "5001"),
        ("router_wait_ms", "-0.1", "0", "1000", "1000.1"),
        ("health_wait_ms", "-0.1", "0", "1500", "1500.1"),
        ("health_refresh_s", "0", "0.01", "60", "60.1"),
        ("in_flight_max", "0", "1", "10000", "10001"),
        ("commit_interval_ms", "0", "0.01", "10000", "10000.1"),
        ("drain_s", "-0.1", "0", "30", "30.1"),
        ("config_wait_s", "0", "0.01", "600", "600.1"),
        ("retries_in_flight_max", "0", "1", "10000", "10001"),
        ("hook_queue_max", "0", "1", "100000", "100001"),
        ("hook_pending_max", "0", "1", None, "nan"),
        ("park_after_s", "0", "0.01", "60", "60.1"),
        ("drain_per_s", "0", "1", "10000", "10001"),
        ("pending_age_max_s", "0", "0.01", "2592000", "2592000.1"),
        ("connect_timeout_s", "0", "0.01", "30", "30.1"),
        ("response_bytes_max", "-1", "0", "1048576", "1048577"),
        ("recent_ids_max", "99", "100", None, "nan"),
        ("partition_jobs_max", "0", "1", None, "nan"),
        ("partition_bytes_max", "0", "1", None, "nan"),
    ],
)
def test_each_number_is_taken_up_to_its_limits_and_not_beyond(
    name: str, below: str, least: str, most: str | None, above: str
) -> None:
    variable = f"HOOKLINE_{name.upper()}"
    for text in filter(None, (least, most)):
        assert getattr(load({variable: text}), name) == float(text)
    for text in (below, above, "nan", "inf", "", "many", "1 2"):
        assert variable in problems({variable: text})


@pytest.mark.parametrize("name", ["topic_prefix", "instance"])
def test_names_have_at_most_80_characters_that_kafka_takes(name: str) -> None:
    variable = f"HOOKLINE_{name.upper()}"
    for text in ("", "a", "a-B_9.", "x" * 80):
        assert getattr(load({variable: text}), name) == text
    for text in ("x" * 81, "a b", "a/b", "é", "a\n", "\n"):
        assert variable in problems({variable: text})


def test_networks_are_separated_by_commas_and_may_have_blanks() -> None:
    networks = load({"HOOKLINE_ALLOW_NETWORKS": " 127.0.0.0/8, ::1/128 ,"}).allow_networks
    assert networks == ("127.0.0.0/8", "::1/128")


def test_extra_events_are_pairs_of_name_and_topic(tmp_path: Path) -> None:
    wanted = {"Device.Lost": "identity.user", "Team2.Created": "identity.organization"}
    text = " Device.Lost = identity.user, Team2.Created=identity.organization,"
    assert load({"HOOKLINE_EXTRA_EVENTS": text}).extra_events == wanted
    file = '[extra_events]\n"Device.Lost" = "identity.user"\n"Team2.Created" = "identity.organization"'
    assert load(config(tmp_path, file)).extra_events == wanted


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A.B", "'A.B', which is not name=topic"),
        ("A.B=identity.user,C.D", "'C.D', which is not name=topic"),
        ("A.B=identity.user,A.B=identity.role", "'A.B' twice"),
        ("A.B=identity.device", "A.B is on 'identity.device', which is none of identity.user, identity.role"),
        ("A.B=hooks.config", "A.B is on 'hooks.config'"),
        ("A.B=", "A.B is on ''"),
        ("=identity.user", "'' is no event name"),
        ("A.*=identity.user", "'A.*' is no event name"),
        ("A..B=identity.user", "'A..B' is no event name"),
        ("A B=identity.user", "'A B' is no event name"),
        ("User.Created=identity.role", "User.Created is in the catalogue already, on identity.user"),
        ("Hook.Failing=identity.user", "Hook.Failing begins with 'Hook.', which is kept for what Hookline tells"),
        ("Hook.Moved=identity.user", "Hook.Moved begins with 'Hook.'"),
        ("Hook.Failing=hooks.operations", "Hook.Failing is on 'hooks.operations', which is none of"),
    ],
)
def test_extra_events_that_cannot_be_are_refused(text: str, problem: str) -> None:
    assert problem in problems({"HOOKLINE_EXTRA_EVENTS": text})


def test_all_that_is_wrong_with_extra_events_is_reported_at_once() -> None:
    words = problems({"HOOKLINE_EXTRA_EVENTS": "a-b=identity.user,C.D=nowhere,E.F,G.H=identity.role,G.H=identity.role"})
    for word in ("'E.F'", "'G.H' twice", "'a-b'", "C.D is on 'nowhere'"):
        assert word in words


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,9}(\.[A-Za-z0-9]{1,9}){0,3}", fullmatch=True).filter(
            lambda name: name not in catalogue.EVENTS and not name.startswith("Hook.")
        ),
        st.sampled_from(catalogue.TOPICS),
    )
)
def test_any_extra_events_survive_the_way_through_the_environment(events: dict[str, str]) -> None:
    text = ",".join(f"{name}={topic}" for name, topic in events.items())
    assert load({"HOOKLINE_EXTRA_EVENTS": text}).extra_events == events


SASL = {"HOOKLINE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}
USER = {"HOOKLINE_SASL_USERNAME": "router", "HOOKLINE_SASL_PASSWORD": SECRET}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_user_needs_a_name_and_a_password_and_both_are_asked_for_at_once(mechanism: str) -> None:
    environ = SASL | {"HOOKLINE_SASL_MECHANISM": mechanism}
    words = problems(environ)
    assert f"HOOKLINE_SASL_USERNAME is not set, and SASL_SSL with {mechanism} needs it" in words
    assert "HOOKLINE_SASL_PASSWORD is not set" in words
    assert load(environ | USER).sasl_username == "router"


def test_oauthbearer_needs_a_token_file_and_neither_name_nor_password() -> None:
    environ = SASL | {"HOOKLINE_SASL_MECHANISM": "OAUTHBEARER"}
    assert "HOOKLINE_SASL_OAUTH_TOKEN_FILE is not set" in problems(environ)
    assert load(environ | {"HOOKLINE_SASL_OAUTH_TOKEN_FILE": "/run/token"}).sasl_mechanism == "OAUTHBEARER"


@pytest.mark.parametrize("name", ["SASL_USERNAME", "SASL_OAUTH_TOKEN_FILE", "SSL_CAFILE", "SSL_CERTFILE"])
def test_what_the_protocol_would_not_use_is_refused(name: str) -> None:
    """Whoever names an authority or a user does not mean to go without: better told than sent in the clear."""
    assert f"HOOKLINE_{name} is set, and HOOKLINE_KAFKA_SECURITY_PROTOCOL=PLAINTEXT would not use it" in problems(
        {f"HOOKLINE_{name}": "x"}
    )


@pytest.mark.parametrize("name", ["SSL_KEYFILE", "SSL_KEYFILE_PASSWORD"])
def test_a_key_needs_its_certificate(name: str) -> None:
    environ = {"HOOKLINE_KAFKA_SECURITY_PROTOCOL": "SSL", f"HOOKLINE_{name}": SECRET}
    words = problems(environ)
    assert f"HOOKLINE_{name} is set, and HOOKLINE_SSL_CERTFILE is not" in words
    assert SECRET not in words
    assert load(environ | {"HOOKLINE_SSL_CERTFILE": "x"}).ssl_certfile == "x"


def test_secrets_are_never_printed() -> None:
    loaded = load({"HOOKLINE_SASL_PASSWORD": SECRET})
    assert loaded.sasl_password == SECRET
    for shown in (repr(loaded), str(loaded), f"{loaded}", str(settings.describe(loaded)), str([loaded])):
        assert SECRET not in shown
        assert "sasl_password" in shown
    assert settings.describe(loaded)["sasl_password"] == "set"
    assert settings.describe(Settings())["sasl_password"] == "unset"


def test_a_problem_with_a_secret_does_not_tell_it(tmp_path: Path) -> None:
    file = config(tmp_path, f'sasl_password = ["{SECRET}"]\nsasl_pasword = "{SECRET}"')
    words = problems(file | {"HOOKLINE_SASL_PASSWORT": SECRET, "HOOKLINE_METRICS_PORT": "x"})
    assert "HOOKLINE_SASL_PASSWORD is set: Expected `str`" in words
    assert SECRET not in words


def test_the_table_has_every_setting_with_its_default_and_a_meaning() -> None:
    rows = settings.table()
    assert [variable for variable, _, _ in rows] == [f"HOOKLINE_{n.upper()}" for n in Settings.__struct_fields__]
    for variable, default, meaning in rows:
        assert default == getattr(Settings(), variable.removeprefix("HOOKLINE_").lower())
        assert re.fullmatch(r"[A-Z].*\.", meaning), f"{variable} has no sentence that says what it means"


def test_the_default_of_every_setting_may_be_written_out() -> None:
    """What `config show` and the README print can be given back."""
    plain: dict[str, Any] = {v: d for v, d, _ in settings.table() if not isinstance(d, tuple | dict)}
    assert load({variable: str(default) for variable, default in plain.items()}) == LOCAL


def config(directory: Path, text: str) -> dict[str, str]:
    """An environment that names a file with this text."""
    file = directory / "hookline.toml"
    file.write_text(text)
    return {"HOOKLINE_CONFIG": str(file)}


def problems(environ: dict[str, str]) -> str:
    with pytest.raises(InvalidInput) as refusal:
        load(environ)
    return str(refusal.value)
