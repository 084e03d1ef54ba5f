"""What `hookline doctor` looks at on this machine: settings, opened networks, certificates, names, disk, versions.

No check here talks to a broker, or to anybody but the name server, which is asked for the brokers' names alone.
"""

import ipaddress
import os
import platform
import shutil
import socket
import ssl
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import click
from packaging.requirements import Requirement

from streams import settings as settings_module
from streams.cli.config import text
from streams.cli.findings import Finding, ok, problem, skipped, warning
from streams.core import opened, sealing
from streams.core.errors import HooklineError
from streams.settings import PREFIX, Settings

FREE_MIN = 500 * 1024 * 1024
"""Bytes: the local broker's jars, Maven's own copies of them, and room for a day of records."""

SHOWN = ("aiokafka", "faust-streaming", "mode-streaming", "aiohttp", "msgspec", "uvloop")
"""Libraries whose versions are worth a line in a report of trouble."""


def changed_settings(ours: Settings) -> Finding:
    """Which settings are not the defaults, and where they come from; those that cannot be never get here."""
    shown, sources = settings_module.describe(ours), settings_module.sources(*click.get_current_context().obj)
    changed = [name for name, source in sources.items() if source != "default"]
    return ok(
        "; ".join(f"{PREFIX}{name.upper()}={text(shown[name])} ({sources[name]})" for name in changed)
        or "all are the defaults"
    )


def networks(ours: Settings) -> Finding:
    """What hooks may reach besides public https, in words that somebody would trip over."""
    if not ours.allow_networks:
        return ok("hooks reach public addresses alone, by https on ports 443 and 8443")
    found = [ipaddress.ip_network(cidr) for cidr in ours.allow_networks]
    seen = "hooks also reach, by http and on any port: " + ", ".join(
        f"{network} ({', '.join(opened.holds(network)) or 'public'})" for network in found
    )
    if any(map(opened.is_dangerous, found)):
        return problem(
            seen, f"take it out of {PREFIX}ALLOW_NETWORKS: whoever may write a hook can have credentials sent there"
        )
    return warning(seen, f"for development and networks of your own; else unset {PREFIX}ALLOW_NETWORKS")


def master_keys(ours: Settings) -> Finding:
    """Whether the secrets of hooks are sealed, and under which key."""
    keys = [key.id for key in sealing.ring(ours.master_keys).keys]
    if keys:
        return ok(f"{keys[0]} seals" + (f"; only to open: {', '.join(keys[1:])}" if keys[1:] else ""))
    if not ours.bootstrap_servers:
        return skipped("there is none: on the local broker the secrets of hooks stay plain")
    return warning(
        "there is none: the secrets of hooks are plain for whoever may read hooks.config",
        f"set {PREFIX}MASTER_KEYS for every role, then `hookline hook reseal`",
    )


def kafka_security(ours: Settings) -> Finding:
    """Whether records and passwords go to the brokers in the clear, and whether the certificates can be read."""
    from streams.kafka import clients

    protocol, far = ours.kafka_security_protocol, [host for host in broker_hosts(ours) if not _is_loopback(host)]
    try:
        clients.connection(ours)
    except HooklineError as error:
        return problem(str(error))
    if protocol.endswith("SSL"):
        return ok(f"{protocol}: what goes to the brokers is encrypted, and their names are verified")
    if far:
        what = "records, hooks' secrets among them" + (", and the password" if protocol.startswith("SASL") else "")
        return warning(
            f"{protocol}: {what} go to {', '.join(far)} in the clear", f"set {PREFIX}KAFKA_SECURITY_PROTOCOL=SASL_SSL"
        )
    return ok(f"{protocol}: the brokers are on this machine")


def tls_authorities(_ours: Settings) -> Finding:
    """Whether there are authorities to verify receivers by; without any, no https delivery succeeds."""
    known = ssl.create_default_context().cert_store_stats()["x509_ca"]
    paths = ssl.get_default_verify_paths()
    directory = Path(paths.capath) if paths.capath else None
    if not known and directory and directory.is_dir():  # OpenSSL reads such a directory only when it verifies
        known = sum(1 for _ in directory.glob("*.[0-9]"))
    if known:
        return ok(f"{known} certificate authorities to verify receivers by")
    return problem(
        "there are no certificate authorities: no https delivery will succeed",
        "install the system's ca-certificates package, or name a bundle in SSL_CERT_FILE",
    )


def names(ours: Settings) -> Finding:
    """Whether names resolve: this machine's own, and those of the brokers, which are asked for anyway."""
    wanted = dict.fromkeys(["localhost", *(host for host in broker_hosts(ours) if not _is_address(host))])
    failed = {host: reason for host in wanted if (reason := _unresolved(host))}
    if failed:
        words = "; ".join(f"{host}: {reason}" for host, reason in failed.items())
        return problem(f"names that do not resolve: {words}", "look into /etc/resolv.conf and the name server")
    return ok(f"{', '.join(wanted)} resolved")


def data_directory(ours: Settings) -> Finding:
    """Whether the local broker could write, and has room."""
    if ours.bootstrap_servers:
        return skipped("nothing is kept here: brokers are configured")
    path = ours.data_path.absolute()
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return problem(f"{path} cannot be written", f"mend its rights, or name another with {PREFIX}DATA_DIR")
    free = shutil.disk_usage(there).free
    seen = f"{path}, {free // 1024**2} MiB free"
    if free < FREE_MIN:
        return problem(seen, f"free {FREE_MIN // 1024**2} MiB, or name another disk with {PREFIX}DATA_DIR")
    return ok(seen)


def local_broker(ours: Settings) -> Finding:
    """Whether a local broker runs, or could: Java, the jars, and Maven if they have to be fetched."""
    from streams.kafka import broker_files
    from streams.kafka.broker_jars import find_java, jars_path

    if ours.bootstrap_servers:
        return skipped("not needed: brokers are configured")
    if running := broker_files.find(ours.data_path):
        return ok(f"runs on {running.bootstrap}, pid {running.pid}")
    try:
        java = Path(find_java()).resolve()
    except HooklineError as error:
        return problem(str(error))
    jars = jars_path(ours.data_path)
    if not jars.is_dir() and not shutil.which("mvn"):
        return problem(f"its jars are not in {jars}, and `mvn` is not on the PATH", "install Maven, which fetches them")
    return ok(
        f"could be started with {java}; its jars are {'there' if jars.is_dir() else 'fetched at the first start'}"
    )


def versions(_ours: Settings) -> Finding:
    """Whether what is installed is what the package asks for; some libraries fit in one version only."""
    shown = ", ".join(f"{name} {metadata.version(name)}" for name in ("hookline", *SHOWN))
    seen = f"Python {platform.python_version()} on {platform.system()}, {shown}"
    wrong = list(unmet(metadata.requires("hookline") or ()))
    if wrong:
        return problem(f"{seen}; but {'; '.join(wrong)}", "install the locked versions: deploy/requirements/run.txt")
    return ok(seen)


def broker_hosts(ours: Settings) -> list[str]:
    """The hosts of the brokers, without ports and brackets."""
    addresses = [address.strip() for address in ours.bootstrap.split(",") if address.strip()]
    return [(address.rpartition(":")[0] or address).strip("[]") for address in addresses]


def unmet(wanted: Iterable[str]) -> Iterator[str]:
    """Of requirements as packages spell them, those that what is installed here does not meet, in words."""
    for requirement in map(Requirement, wanted):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield f"{requirement} is not installed"
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            yield f"{requirement.name} is {found}, and {requirement} is asked for"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback if _is_address(host) else host == "localhost"


def _unresolved(host: str) -> str:
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""
