"""The local broker: what it keeps, how it ends, and what it says when it cannot run."""

import asyncio
import os
import random
import re
import signal
import socket
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from streams.core.errors import LocalBrokerFailed
from streams.kafka import broker_failures, broker_files, clients
from streams.kafka.broker import LocalBroker
from streams.kafka.broker_jars import fetch_jars
from streams.kafka.topics import RECORD_BYTES_MAX
from streams.settings import Settings
from tests.conftest import BrokerFactory

TOPIC = "things"


async def make_topic(settings: Settings) -> None:
    async with clients.admin(settings) as admin:
        await admin.create_topics([NewTopic(settings.topic_prefix + TOPIC, 1, 1)])


async def produce(settings: Settings, *values: bytes) -> None:
    async with clients.producer(settings) as producer:
        for value in values:
            await producer.send_and_wait(settings.topic_prefix + TOPIC, value)


async def read(settings: Settings, count: int) -> list[bytes]:
    async with asyncio.timeout(30), clients.consumer(settings, settings.topic_prefix + TOPIC) as consumer:
        return [(await consumer.getone()).value for _ in range(count)]


def free_bytes_of(path: Path) -> int:
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 48 MiB, which only root can make."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def no_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing in it; returns its only folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


async def test_the_largest_record_of_any_topic_goes_through(settings: Settings) -> None:
    await make_topic(settings)
    largest = random.Random(1).randbytes(RECORD_BYTES_MAX - 200)  # the rest is the batch's own header
    await produce(settings, largest)
    assert await read(settings, 1) == [largest]


async def test_records_and_identity_survive_a_stop_and_a_kill(broker_factory: BrokerFactory) -> None:
    broker = broker_factory()
    settings = Settings(bootstrap_servers=broker.bootstrap)
    await broker.start()
    identity = broker.cluster_id
    await make_topic(settings)
    await produce(settings, b"before the stop")
    await broker.stop()

    await broker.start()
    await produce(settings, b"before the kill")
    broker.kill()
    assert broker.pid == 0

    await broker.start()
    assert await read(settings, 2) == [b"before the stop", b"before the kill"]
    assert broker.cluster_id == identity


async def test_a_stopped_broker_leaves_no_process_port_or_note(broker_factory: BrokerFactory) -> None:
    broker = broker_factory()
    async with broker:
        pid = broker.pid
        assert broker_files.find(broker.directory) == broker_files.Running(
            bootstrap=broker.bootstrap, port=broker.port, pid=pid, cluster_id=broker.cluster_id
        )
    assert not Path(f"/proc/{pid}").exists()
    assert not broker_files.note(broker.directory).exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", broker.port)) != 0
    await broker.stop()  # and a second stop does nothing


async def test_one_directory_serves_one_broker(broker_factory: BrokerFactory) -> None:
    first, second = broker_factory(), broker_factory()
    await first.start()
    with pytest.raises(LocalBrokerFailed, match=f"already runs in .* \\(pid {first.pid}, {first.bootstrap}\\)"):
        await second.start()

    broker_files.note(first.directory).unlink()  # as if it had been started by other means
    with pytest.raises(LocalBrokerFailed, match=r"another broker uses .*: stop it, or name another directory"):
        await second.start()


@pytest.mark.parametrize("offset", [0, 1], ids=["its port", "its controller's"])
async def test_a_taken_port_is_named_at_once(broker_factory: BrokerFactory, offset: int) -> None:
    broker = broker_factory()
    port = broker.port + offset
    taken = pytest.raises(LocalBrokerFailed, match=f"port {port} of 127.0.0.1 cannot be used")
    with socket.create_server(("127.0.0.1", port)), taken:
        await broker.start()
    assert not broker.directory.exists()


async def test_a_broker_that_dies_by_itself_is_noticed(broker_factory: BrokerFactory) -> None:
    broker = broker_factory()
    await broker.start()
    os.kill(broker.pid, signal.SIGKILL)
    async with asyncio.timeout(30):
        with pytest.raises(LocalBrokerFailed, match=r"the broker ended by itself: look into .*broker\.log"):
            await broker.ended()


async def test_a_cancelled_start_leaves_no_process(broker_factory: BrokerFactory) -> None:
    broker = broker_factory()
    started = asyncio.Event()
    broker.tell = lambda words: started.set() if words.startswith("starting") else None
    starting = asyncio.create_task(broker.start())
    await started.wait()
    pid = broker.pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert broker.pid == 0
    assert pid
    assert not Path(f"/proc/{pid}").exists()


async def test_without_java_it_says_what_to_install(no_commands: Path, tmp_path: Path, jars: Path) -> None:
    with pytest.raises(LocalBrokerFailed, match="`java` is not on the PATH: install Java 17 or newer"):
        await LocalBroker(tmp_path, jars=jars, port=1).start()


async def test_a_wrong_java_home_is_named(
    no_commands: Path, tmp_path: Path, jars: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(LocalBrokerFailed, match=f"JAVA_HOME \\({tmp_path}\\) has no bin/java: install Java 17"):
        await LocalBroker(tmp_path, jars=jars, port=1).start()


async def test_without_maven_it_says_what_to_install(no_commands: Path, tmp_path: Path) -> None:
    (no_commands / "java").symlink_to("/bin/true")
    with pytest.raises(LocalBrokerFailed, match="`mvn` is not on the PATH: install Maven"):
        await LocalBroker(tmp_path, jars=tmp_path / "libs", port=1).start()


async def test_a_java_too_old_for_the_broker_is_told(broker_factory: BrokerFactory, tmp_path: Path) -> None:
    jars = tmp_path / "libs"
    jars.mkdir()
    newer_than_any = b"\xca\xfe\xba\xbe\x00\x00\x7f\xff"  # a class file's magic, its minor and its major version
    with zipfile.ZipFile(jars / "kafka.jar", "w") as jar:
        jar.writestr("kafka/Kafka.class", newer_than_any + bytes(100))
    with pytest.raises(LocalBrokerFailed, match="this `java` is too old: install Java 17 or newer"):
        await broker_factory(jars=jars).start()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("java.io.IOException: No space left on device", "the disk is full: free space"),
        (
            "Socket server failed to bind to 127.0.0.1:9: Address already in use.",
            "the port of 127.0.0.1:9 or its contr",
        ),
        ("Failed to acquire lock on file .lock in records.", "another broker uses"),
        ("java.nio.file.AccessDeniedException: records/x", "the broker may not write to"),
        ("Terminating due to java.lang.OutOfMemoryError: Java heap space", "the broker ran out of its 512 MB"),
        ("[main] ERROR kafka.Kafka - odd", r"ended by itself: look into .*broker\.log, whose last error is: .* odd"),
        ("", "whose last error is: it said nothing"),
    ],
)
def test_the_log_of_a_broker_that_ended_becomes_one_sentence(tmp_path: Path, line: str, sentence: str) -> None:
    log = tmp_path / "broker.log"
    log.write_text(f"{line}\n[main] WARN something else\n" if line else "")
    assert re.search(sentence, broker_failures.from_log(log, tmp_path, "127.0.0.1:9"))


async def test_a_download_that_fails_leaves_nothing_and_says_why(
    broker_factory: BrokerFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: refused, and nobody else can take it
        mirror = f"<mirror><id>closed</id><mirrorOf>*</mirrorOf><url>http://127.0.0.1:{closed.getsockname()[1]}</url>"
        (tmp_path / ".m2").mkdir()
        (tmp_path / ".m2/settings.xml").write_text(f"<settings><mirrors>{mirror}</mirror></mirrors></settings>")
        monkeypatch.setenv("MAVEN_OPTS", f"-Duser.home={tmp_path}")
        jars = tmp_path / "kafka" / "libs"
        with pytest.raises(LocalBrokerFailed, match=r"could not be fetched: check the network .*: .*127\.0\.0\.1:"):
            await broker_factory(jars=jars).start()
    assert list(jars.parent.iterdir()) == []


async def test_a_download_onto_a_full_disk_leaves_nothing_and_says_so(
    broker_factory: BrokerFactory, small_disk: Path
) -> None:
    (small_disk / "ballast").write_bytes(bytes(free_bytes_of(small_disk) - 10_000_000))
    jars = small_disk / "kafka" / "libs"
    with pytest.raises(LocalBrokerFailed, match="the disk is full: free 100 MB"):
        await broker_factory(jars=jars).start()
    assert list(jars.parent.iterdir()) == []


async def test_two_that_fetch_at_once_both_succeed(tmp_path: Path) -> None:
    jars = tmp_path / "kafka" / "libs"
    told: list[str] = []
    await asyncio.gather(fetch_jars(jars, told.append), fetch_jars(jars, told.append))
    assert len(told) == 2
    assert len(list(jars.iterdir())) == 46
    assert list(jars.parent.iterdir()) == [jars]


async def test_a_directory_that_cannot_be_written_is_named(broker_factory: BrokerFactory, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(
        LocalBrokerFailed, match=f"cannot write to {file} .*: mend its owner, or name another directory"
    ):
        await broker_factory(directory=file).start()


async def test_a_full_disk_before_the_start_is_told(broker_factory: BrokerFactory, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(free_bytes_of(small_disk)))
    with pytest.raises(LocalBrokerFailed, match=r"the disk is full: free space for .*, then start the broker again"):
        await broker_factory(directory=small_disk / "data").start()


async def test_a_disk_that_fills_ends_the_broker_with_a_plain_sentence(
    broker_factory: BrokerFactory, small_disk: Path
) -> None:
    broker = broker_factory(directory=small_disk)
    await broker.start()
    settings = Settings(bootstrap_servers=broker.bootstrap)
    await make_topic(settings)
    (small_disk / "ballast").write_bytes(bytes(free_bytes_of(small_disk) - 1_500_000))
    # Without acknowledgements: a producer that asks for them waits for ever for a broker that has gone.
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks=0, max_request_size=2_000_000) as producer:
        for _ in range(2):
            await producer.send_and_wait(TOPIC, random.Random(1).randbytes(1_000_000))
        async with asyncio.timeout(60):
            with pytest.raises(LocalBrokerFailed, match="the disk is full: free space for"):
                await broker.ended()
