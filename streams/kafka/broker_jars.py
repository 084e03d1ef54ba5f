"""Fetches the jars of the local broker, once, with Maven from the coordinates in `deploy/kafka/pom.xml`.

A download is made beside its place, held against the lock and renamed into it, so what is there is whole and the very
jars that were tested. Knows nothing of running a broker.
"""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from streams.core.errors import LocalBrokerFailed
from streams.kafka import broker_failures, broker_lock

KAFKA = "4.3.1"
"""The version in pom.xml; also the name of the folder, so that another version is fetched anew."""

FETCH_S = 600
"""A fetch takes 8 s on a good line; after this long without an end it is given up."""

_PACKAGE = Path(__file__).parents[1]
_POMS = (_PACKAGE / "_shipped/deploy/kafka/pom.xml", _PACKAGE.parent / "deploy/kafka/pom.xml")


def jars_path(data_path: Path) -> Path:
    """Where the jars lie under a data path; they are shared by all brokers of that path."""
    return data_path / "kafka" / KAFKA / "libs"


async def fetch_jars(jars: Path, tell: Callable[[str], None]) -> None:
    """Fetch the jars (46 files, 44 MB) into `jars` unless they are there. Raises LocalBrokerFailed.

    A fetch ended by SIGKILL leaves a folder `.libs-*` beside `jars`, which is never used and may be deleted.
    """
    if jars.is_dir():
        return
    maven = shutil.which("mvn")
    if not maven:
        raise LocalBrokerFailed(
            "`mvn` is not on the PATH: install Maven, which fetches the local broker once, "
            "or name a Kafka of yours with HOOKLINE_BOOTSTRAP_SERVERS"
        )
    tell(f"fetching Apache Kafka {KAFKA} (44 MB, once) into {jars}")
    part = _make_part(jars)
    try:
        await _copy(maven, part)
        _verify(part)
        _settle(part, jars)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _make_part(jars: Path) -> Path:
    try:
        jars.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".libs-", dir=jars.parent))
    except OSError as error:
        raise LocalBrokerFailed(broker_failures.from_error(error, jars.parent)) from error


async def _copy(maven: str, into: Path) -> None:
    # -C: a file whose checksum is wrong ends it, be it a jar, a plugin or a pom.
    arguments = ["-q", "-B", "-C", "-Dstyle.color=never", "-f", str(_pom()), "dependency:copy-dependencies"]
    process = await asyncio.create_subprocess_exec(
        maven,
        *arguments,
        f"-DoutputDirectory={into}",
        cwd=into,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(FETCH_S):
            output, _ = await process.communicate()
    except TimeoutError:
        raise LocalBrokerFailed(
            f"fetching the broker took longer than {FETCH_S} s: check the network, then run the command again"
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise LocalBrokerFailed(_reason(output.decode(errors="replace"), into))


def _verify(part: Path) -> None:
    different = list(broker_lock.differences(part, broker_lock.read(_pom().with_name(broker_lock.FILE))))
    if different:
        raise LocalBrokerFailed(
            f"the jars that Maven fetched are not those that were locked ({'; '.join(different)}), and are not used: "
            "find out what serves Maven's repository, and what lies in Maven's own store"
        )


def _pom() -> Path:
    return next(path for path in _POMS if path.is_file())


def _settle(part: Path, jars: Path) -> None:
    part.chmod(0o755)  # mkdtemp's 0700 would keep out the other users of a shared data path
    try:
        part.rename(jars)
    except OSError:
        if not jars.is_dir():  # else another process was quicker, and its jars are as good
            raise


def _reason(output: str, into: Path) -> str:
    if "No space left on device" in output or shutil.disk_usage(into).free < broker_failures.FULL:
        return f"the disk is full: free 100 MB for {into.parent} and for Maven's own store, then run the command again"
    errors = re.findall(r"\[ERROR\] (\S.*?)(?: -> \[Help \d+\])?$", output, re.MULTILINE)
    said = (errors or output.split("\n"))[0]
    return f"the broker's jars could not be fetched: check the network and Maven's settings, then try again: {said}"


def find_java() -> str:
    """The `java` to run: of JAVA_HOME if set, else of the PATH. Raises LocalBrokerFailed."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if not java:
        where = f"JAVA_HOME ({home}) has no bin/java" if home else "`java` is not on the PATH"
        raise LocalBrokerFailed(
            f"{where}: install Java 17 or newer for the local broker, "
            "or name a Kafka of yours with HOOKLINE_BOOTSTRAP_SERVERS"
        )
    return java
