"""What the local broker keeps on disk: its properties, its identity, and the note by which others find it.

    <directory>/broker.json               address and pid while it runs
    <directory>/broker/server.properties  written anew at each start
    <directory>/broker/broker.log         warnings and errors since the last start
    <directory>/broker/records/           Kafka's own; survives restarts

Starts nothing. Whether a noted process still lives is asked of the kernel (/proc), never believed.
"""

import base64
import uuid
from pathlib import Path

import msgspec

from streams.kafka.topics import RECORD_BYTES_MAX

PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller_port}
log.dirs=records
message.max.bytes={record_bytes_max}
# Topics come from `hookline topic apply` alone.
auto.create.topics.enable=false
# One node: every internal topic has one replica, and one partition is quicker to load.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# After a kill the controller waits for the former life's session to end before it lets the broker in; 9 s otherwise.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
# For a laptop: first group member served at once, few threads, 2 MiB to compact with, often.
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=2097152
log.cleaner.backoff.ms=1000
"""


class Running(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The note of a running broker, as `broker.json` holds it."""

    bootstrap: str
    port: int
    pid: int
    cluster_id: str


def home(directory: Path) -> Path:
    """The broker's working directory; Kafka's paths are relative to it, so odd characters in it do no harm."""
    return directory / "broker"


def note(directory: Path) -> Path:
    """Where the note of the running broker is."""
    return directory / "broker.json"


def log(directory: Path) -> Path:
    """Where its warnings and errors are. No limit but the next start's: a broker that is well logs next to nothing."""
    return home(directory) / "broker.log"


def prepare(directory: Path, port: int, controller_port: int, more: str = "") -> str:
    """Write what a start needs and return the cluster id, which is made once and then kept. Raises OSError.

    `more` comes last in the properties, where it wins over what stands before it.
    """
    records = home(directory) / "records"
    records.mkdir(parents=True, exist_ok=True)
    text = PROPERTIES.format(port=port, controller_port=controller_port, record_bytes_max=RECORD_BYTES_MAX)
    (home(directory) / "server.properties").write_text(text + more)
    meta = records / "meta.properties"
    if not meta.exists():
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        _write_whole(meta, f"version=1\ncluster.id={identity}\nnode.id=1\n")
    lines = (line.partition("=") for line in meta.read_text().splitlines())
    return next(value for key, _, value in lines if key == "cluster.id")


def leave_note(directory: Path, running: Running) -> None:
    """Say where the broker is."""
    _write_whole(note(directory), msgspec.json.encode(running).decode())


def find(directory: Path) -> Running | None:
    """The broker that runs in `directory`, or None; a note left behind by a killed broker is not believed."""
    try:
        running = msgspec.json.decode(note(directory).read_bytes(), type=Running)
        cwd = Path(f"/proc/{running.pid}/cwd").readlink()
    except (OSError, msgspec.MsgspecError):
        return None
    return running if cwd == home(directory).resolve() else None


def size(directory: Path) -> int:
    """Bytes that the broker's files take on disk; Kafka's index files have holes, which do not count."""
    return sum(_blocks(path) for path in home(directory).rglob("*"))


def _blocks(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:  # the broker deletes segments while we look
        return 0


def _write_whole(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)
