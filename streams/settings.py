"""Every setting, its default and its reason; the only reader of the environment.

`HOOKLINE_<NAME>` wins over the TOML file named by `HOOKLINE_CONFIG`, which wins over the defaults here.
`load` reports every problem at once. Nothing here knows what the settings are used for.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from streams.core import catalogue, sealing
from streams.core.errors import InvalidInput

PREFIX = "HOOKLINE_"
LOCAL_BROKER = "127.0.0.1:19092"
LOOPBACK = ("127.0.0.0/8", "::1/128")
SECRETS = frozenset({"sasl_password", "ssl_keyfile_password", "master_keys"})
SHOWN_MAX = 200

_BROKER = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One frozen object; `describe` prints it with secrets shown only as set or unset."""

    bootstrap_servers: Annotated[
        str, Meta(description="Kafka brokers, host:port, comma separated; empty means the local broker.")
    ] = ""
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], Meta(description="How to talk to Kafka.")
    ] = "PLAINTEXT"
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"], Meta(description="Used with SASL_*.")
    ] = "PLAIN"
    sasl_username: Annotated[str, Meta(description="Used with SASL_*, but for OAUTHBEARER.")] = ""
    sasl_password: Annotated[str, Meta(description="Used with SASL_*, but for OAUTHBEARER. Secret.")] = ""
    sasl_oauth_token_file: Annotated[
        str,
        Meta(
            description="File that holds the token for OAUTHBEARER; read anew for every connection, so that whoever "
            "renews the token need not tell anybody."
        ),
    ] = ""
    ssl_cafile: Annotated[str, Meta(description="CA bundle for SSL and SASL_SSL; empty means the system's.")] = ""
    ssl_certfile: Annotated[str, Meta(description="Client certificate, PEM.")] = ""
    ssl_keyfile: Annotated[
        str, Meta(description="Key of the client certificate, PEM; empty means that it is in the certificate's file.")
    ] = ""
    ssl_keyfile_password: Annotated[str, Meta(description="Password of an encrypted key file. Secret.")] = ""
    master_keys: Annotated[
        str,
        Meta(
            description="Keys that seal the secrets of hooks: id:base64 of 32 bytes each, comma separated, the current "
            "one first. Secret. Without any, secrets stay as they were written."
        ),
    ] = ""
    topic_prefix: Annotated[
        str, Meta(pattern=r"^[a-zA-Z0-9._-]{0,80}\Z", description="Goes before every topic and group name.")
    ] = ""
    topic_partitions: Annotated[
        int,
        Meta(ge=1, le=256, description="Partitions that `topic apply` creates; fixed at birth, see README."),
    ] = 12
    instance: Annotated[
        str,
        Meta(
            pattern=r"^[a-zA-Z0-9._-]{0,80}\Z",
            description="Static group member name, one per process; recovery after a kill is 2-4 s with it, "
            "up to a session timeout without.",
        ),
    ] = ""
    data_dir: Annotated[str, Meta(description="Where the local broker keeps its jars and data.")] = ""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="Least level logged.")] = "info"
    metrics_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of /live, /ready and /metrics on loopback; 0 means off.")
    ] = 0
    allow_networks: Annotated[
        tuple[str, ...],
        Meta(
            description="CIDRs that hooks may reach besides public https; http and any port allowed there. "
            "Loopback when no brokers are configured."
        ),
    ] = ()
    extra_events: Annotated[
        dict[str, str],
        Meta(description="Events beyond the catalogue: name=topic, for example A.B=identity.user."),
    ] = msgspec.field(default_factory=dict)
    retry_profile: Annotated[
        Literal["logto", "default", "standard"], Meta(description="Retry schedule of hooks that name none.")
    ] = "default"

    router_batch_max: Annotated[
        int,
        Meta(ge=1, le=5000, description="Events joined per batch; more costs latency when a batch repeats."),
    ] = 500
    router_wait_ms: Annotated[
        float,
        Meta(ge=0, le=1000, description="Longest wait to fill a batch; 3 ms keeps the hop under 10 ms at p50."),
    ] = 3.0
    health_wait_ms: Annotated[
        float,
        Meta(ge=0, le=1500, description="Longest wait to fill a batch of outcomes; bounds reports per second."),
    ] = 300.0
    health_refresh_s: Annotated[
        float,
        Meta(gt=0, le=60, description="Reports are repeated this often, so that windows slide when idle."),
    ] = 30.0
    recent_ids_max: Annotated[
        int,
        Meta(
            ge=100,
            description="Delivery ids remembered per partition to drop duplicates; about 120 bytes each.",
        ),
    ] = 50_000
    in_flight_max: Annotated[
        int, Meta(ge=1, le=10_000, description="POSTs at once per sender; each may hold a socket and 64 KiB.")
    ] = 512
    retries_in_flight_max: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Of those, retries and failing hooks; the rest is for hooks that are well.",
        ),
    ] = 256
    hook_queue_max: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Jobs of one hook held in memory; more are parked on hooks.retries.",
        ),
    ] = 256
    hook_pending_max: Annotated[
        int,
        Meta(
            ge=1,
            description="Jobs of one hook that wait on hooks.retries, some 400 bytes of memory each; "
            "more end as expired, to be replayed.",
        ),
    ] = 100_000
    park_after_s: Annotated[
        float,
        Meta(gt=0, le=60, description="A job that could not start for so long is parked: it would hold back commits."),
    ] = 5.0
    drain_per_s: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Overdue jobs of one hook started per second after an outage: no flood."),
    ] = 100
    pending_age_max_s: Annotated[
        float,
        Meta(
            gt=0,
            le=2_592_000,
            description="A job that its hook's breaker or hold kept back for so long ends as expired.",
        ),
    ] = 86_400.0
    partition_jobs_max: Annotated[
        int,
        Meta(
            ge=1,
            description="Unfinished jobs held per partition before it is paused; bounds memory with bodies.",
        ),
    ] = 1000
    partition_bytes_max: Annotated[
        int, Meta(ge=1, description="Bytes of bodies held per partition before it is paused.")
    ] = 16 * 1024 * 1024
    commit_interval_ms: Annotated[
        float,
        Meta(gt=0, le=10_000, description="Time between commits; bounds what a killed sender re-reads."),
    ] = 300.0
    drain_s: Annotated[
        float, Meta(ge=0, le=30, description="How long a stopping sender waits for POSTs in flight.")
    ] = 5.0
    config_wait_s: Annotated[
        float,
        Meta(
            gt=0,
            le=600,
            description="How long a job waits for the hook version that the join saw. One that has not come by then "
            "never will, for hooks.config was made anew.",
        ),
    ] = 60.0
    connect_timeout_s: Annotated[float, Meta(gt=0, le=30, description="DNS, TCP and TLS of one attempt.")] = 5.0
    response_bytes_max: Annotated[
        int, Meta(ge=0, le=1 << 20, description="Bytes of a response body that are read before it is closed.")
    ] = 16 * 1024

    def __repr__(self) -> str:
        """Show no secret, whoever prints this."""
        return f"Settings({describe(self)})"

    def __post_init__(self) -> None:
        """Refuse brokers, networks, extra events and keys that are none; raises ValueError with all that is wrong."""
        problems = [
            *_bad_brokers(self.bootstrap_servers),
            *_bad_networks(self.allow_networks),
            *_bad_events(self.extra_events),
            *_bad_keys(self.master_keys),
        ]
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def bootstrap(self) -> str:
        """The brokers to talk to: those configured, else the local one."""
        return self.bootstrap_servers or LOCAL_BROKER

    @property
    def data_path(self) -> Path:
        """`data_dir`, else the user's state directory."""
        if self.data_dir:
            return Path(self.data_dir)
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "hookline"


def load(environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings from environment over file over defaults; `overrides` (command-line options) win over all.

    Raises InvalidInput that lists every problem, one a line.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    for layer in _layers(environ, overrides, problems).values():
        values |= layer
    good = {name: value for name, value in values.items() if _check(name, value, problems)}
    problems += _bad_security(msgspec.convert(good, Settings, strict=False))
    if problems:
        raise InvalidInput("settings: " + "\n          ".join(problems))
    return msgspec.convert(good, Settings, strict=False)


def sources(environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Where `load` takes each setting from: `default`, `file`, `environment` or `option`, by the setting's name."""
    origin = dict.fromkeys(Settings.__struct_fields__, "default")
    for source, layer in _layers(environ, overrides, []).items():
        origin |= dict.fromkeys(layer, source)
    return origin


def describe(settings: Settings) -> dict[str, Any]:
    """Every setting by name, secrets as `set` or `unset`."""
    shown = {}
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        shown[name] = ("set" if value else "unset") if name in SECRETS else value
    return shown


def table() -> list[tuple[str, Any, str]]:
    """(environment variable, default, meaning and reason) of every setting, for the README and `config show`."""
    defaults = Settings()
    hints = get_type_hints(Settings, include_extras=True)
    return [(PREFIX + name.upper(), getattr(defaults, name), _meaning(hints[name])) for name in hints]


def _meaning(hint: Any) -> str:
    return next((m.description for m in get_args(hint)[1:] if getattr(m, "description", None)), "")


def _layers(
    environ: Mapping[str, str], overrides: Mapping[str, Any] | None, problems: list[str]
) -> dict[str, dict[str, Any]]:
    """What each source says, in the order in which they win over each other, the strongest last."""
    layers = {
        "file": _from_file(environ.get(PREFIX + "CONFIG"), problems),
        "environment": _from_environment(environ, problems),
        "option": {name: value for name, value in (overrides or {}).items() if value is not None},
    }
    if any(layer.get("bootstrap_servers") for layer in layers.values()):
        return layers
    # The local broker is for trying things out, which needs receivers on this machine.
    return {"local broker": {"allow_networks": LOOPBACK}} | layers


def _from_file(path: str | None, problems: list[str]) -> dict[str, Any]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{PREFIX}CONFIG={path}: {error}")
        return {}


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX) or name == "config":
            continue
        if name not in Settings.__struct_fields__:
            problems.append(f"{variable} is no setting; `hookline config show` lists them all")
        elif name == "allow_networks":
            values[name] = tuple(part.strip() for part in text.split(",") if part.strip())
        elif name == "extra_events":
            values[name] = _events(text, problems)
        else:
            values[name] = text
    return values


def _events(text: str, problems: list[str]) -> dict[str, str]:
    """`A.B=identity.user,C.D=identity.role` as a dict; what is no pair or named twice is a problem."""
    events: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, given, topic = (word.strip() for word in part.partition("="))
        if name in events:
            problems.append(f"{PREFIX}EXTRA_EVENTS has {name!r} twice")
        elif given:
            events[name] = topic
        else:
            problems.append(f"{PREFIX}EXTRA_EVENTS has {part!r}, which is not name=topic")
    return events


def _bad_brokers(brokers: str) -> Iterator[str]:
    for broker in brokers.split(",") if brokers.strip() else ():
        found = _BROKER.fullmatch(broker.strip())
        if found is None or int(found[1] or 9092) not in range(1, 65536):
            yield f"{broker.strip()[:SHOWN_MAX]!r} is no broker: write host:port"


def _bad_networks(networks: Iterable[str]) -> Iterator[str]:
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            yield str(error)


def _bad_events(events: Mapping[str, str]) -> Iterator[str]:
    for name, topic in events.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(\.[A-Za-z0-9]+)*", name):
            yield f"{name!r} is no event name: words of letters and digits, joined by dots"
        elif name in catalogue.EVENTS:
            yield f"{name} is in the catalogue already, on {catalogue.EVENTS[name]}"
        elif name.startswith(catalogue.RESERVED):
            yield f"{name} begins with {catalogue.RESERVED!r}, which is kept for what Hookline tells of hooks"
        if topic not in catalogue.TOPICS:
            yield f"{name} is on {topic!r}, which is none of {', '.join(catalogue.TOPICS)}"


def _bad_keys(text: str) -> Iterator[str]:
    try:
        sealing.ring(text)
    except ValueError as error:
        yield str(error)


def _bad_security(settings: Settings) -> Iterator[str]:
    """What the way to talk to Kafka needs and does not have, or has and would not use: better told than guessed."""
    protocol, mechanism = settings.kafka_security_protocol, settings.sasl_mechanism
    sasl, tls = protocol.startswith("SASL"), protocol.endswith("SSL")
    by_token = mechanism == "OAUTHBEARER"
    needed = ("sasl_oauth_token_file",) if by_token else ("sasl_username", "sasl_password")
    for name in needed if sasl else ():
        if not getattr(settings, name):
            yield f"{PREFIX}{name.upper()} is not set, and {protocol} with {mechanism} needs it"
    for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        if getattr(settings, name) and not tls:
            yield f"{PREFIX}{name.upper()} is set, and {PREFIX}KAFKA_SECURITY_PROTOCOL={protocol} would not use it"
    for name in ("sasl_username", "sasl_oauth_token_file"):
        if getattr(settings, name) and not sasl:
            yield f"{PREFIX}{name.upper()} is set, and {PREFIX}KAFKA_SECURITY_PROTOCOL={protocol} would not use it"
    if settings.ssl_keyfile and not settings.ssl_certfile:
        yield f"{PREFIX}SSL_KEYFILE is set, and {PREFIX}SSL_CERTFILE is not"
    if settings.ssl_keyfile_password and not settings.ssl_certfile:
        yield f"{PREFIX}SSL_KEYFILE_PASSWORD is set, and {PREFIX}SSL_CERTFILE is not"


def _check(name: str, value: Any, problems: list[str]) -> bool:
    if name not in Settings.__struct_fields__:
        problems.append(f"{name} is no setting; `hookline config show` lists them all")
        return False
    try:
        msgspec.convert({name: value}, Settings, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        shown = "set" if name in SECRETS else _shown(value)
        problems.append(f"{PREFIX}{name.upper()} is {shown}: {_choices(name) or str(error).split(' - at `$')[0]}")
        return False
    return True


def _shown(value: Any) -> str:
    """A value as its writer knows it again; its kind where it is large, for Python refuses to print some numbers."""
    text = "" if isinstance(value, int) and value.bit_length() > SHOWN_MAX else repr(value)
    return text if 0 < len(text) <= SHOWN_MAX else f"a long {type(value).__name__}"


def _choices(name: str) -> str:
    hint = get_args(get_type_hints(Settings, include_extras=True)[name])[0]
    return f"it must be one of {', '.join(get_args(hint))}" if get_origin(hint) is Literal else ""
