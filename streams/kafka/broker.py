"""One local Kafka broker for development, tests and the demo: started, found ready, stopped, and never orphaned.

Apache Kafka itself in KRaft mode, listening on 127.0.0.1 alone. With a static voter list a hand-written
`meta.properties` is enough, so there is no format step. Linux only: it leans on /proc, pidfd and PR_SET_PDEATHSIG.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn, Self

from streams.core.errors import LocalBrokerFailed
from streams.kafka import broker_failures, broker_files
from streams.kafka.broker_files import Running
from streams.kafka.broker_jars import fetch_jars, find_java
from streams.kafka.broker_ready import HOST, refuse_taken, until_answers

READY_S = 60
"""Ready takes 3 s on two idle cores; this is for a machine that is busy with twenty other things."""

STOP_S = 8
"""A stop takes 0.3 s; after this long the broker is killed, which costs it a recovery at its next start."""

JVM = (
    # A quick start on few cores: the first compiler only, the plainest collector, no files for jvmstat.
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)

PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None)


def silent(_words: str) -> None:
    """Tell nobody."""


class LocalBroker:
    """A broker in `directory`, on `port` and, for its controller, `controller_port` (default: the next one).

    `jars` are fetched when missing; `properties` are lines of server.properties that win over its own; `tell` hears
    what takes its time. Not bound to an event loop: it may be started
    in one and stopped in another. To be started from the main thread, since the kernel ends it with the thread that
    started it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        jars: Path,
        port: int,
        controller_port: int | None = None,
        properties: str = "",
        tell: Callable[[str], None] = silent,
    ) -> None:
        self.directory = directory.absolute()
        self.jars = jars.absolute()
        self.port = port
        self.controller_port = controller_port or port + 1
        self.properties = properties
        self.bootstrap = f"{HOST}:{port}"
        self.cluster_id = ""
        self.tell = tell
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The broker's process; 0 when there is none."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Fetch what is missing, start the broker, and return once it answers. Raises LocalBrokerFailed."""
        java = find_java()
        await fetch_jars(self.jars, self.tell)
        self._refuse_second()
        for port in (self.port, self.controller_port):
            refuse_taken(port)
        try:
            self._spawn(java)
            await self._ready()
        except OSError as error:
            self.kill()
            raise LocalBrokerFailed(broker_failures.from_error(error, self.directory)) from error
        except BaseException:
            self.kill()
            raise

    async def stop(self) -> None:
        """Ask the broker to end, wait at most STOP_S, then kill it. Does nothing when there is none."""
        if not self._process:
            return
        try:
            self._process.terminate()
            async with asyncio.timeout(STOP_S):
                await self._exit()
        except TimeoutError:
            self.tell(f"the broker did not stop within {STOP_S} s and is killed")
        finally:
            self.kill()

    def kill(self) -> None:
        """End the broker at once (SIGKILL), as a crash would. `start` may be called again."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
            broker_files.note(self.directory).unlink(missing_ok=True)

    async def ended(self) -> NoReturn:
        """Wait until the broker ends without having been asked to; raises LocalBrokerFailed with the cause."""
        await self._exit()
        raise LocalBrokerFailed(self._reason())

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def _refuse_second(self) -> None:
        other = broker_files.find(self.directory)
        if other:
            raise LocalBrokerFailed(
                f"a broker already runs in {self.directory} (pid {other.pid}, {other.bootstrap}): "
                "use that one, stop it, or name another directory"
            )

    def _spawn(self, java: str) -> None:
        self.tell(f"starting the broker on {self.bootstrap}, data in {self.directory}")
        self.cluster_id = broker_files.prepare(self.directory, self.port, self.controller_port, self.properties)
        home = broker_files.home(self.directory)
        with broker_files.log(self.directory).open("wb") as log:
            self._process = subprocess.Popen(
                [java, *JVM, "-cp", f"{self.jars}/*", "kafka.Kafka", "server.properties"],
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C goes to a terminal's whole process group: the roles must drain before their broker ends.
                start_new_session=True,
                preexec_fn=partial(die_with, os.getpid(), signal.SIGKILL),
            )
        running = Running(bootstrap=self.bootstrap, port=self.port, pid=self.pid, cluster_id=self.cluster_id)
        broker_files.leave_note(self.directory, running)

    async def _ready(self) -> None:
        answers = asyncio.create_task(until_answers(self.bootstrap))
        exits = asyncio.create_task(self._exit())
        try:
            await asyncio.wait({answers, exits}, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
            if exits.done():
                raise LocalBrokerFailed(self._reason())
            if not answers.done():
                raise LocalBrokerFailed(f"the broker did not answer within {READY_S} s: is the machine overloaded?")
            answers.result()
        finally:
            answers.cancel()
            exits.cancel()
            await asyncio.gather(answers, exits, return_exceptions=True)

    async def _exit(self) -> None:
        """Wait for the process to end, by its pidfd: no thread, no polling, any event loop."""
        if not self._process or self._process.poll() is not None:
            return
        ended = asyncio.Event()
        descriptor = os.pidfd_open(self._process.pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def _reason(self) -> str:
        return broker_failures.from_log(broker_files.log(self.directory), self.directory, self.bootstrap)


def die_with(parent: int, number: signal.Signals) -> None:
    """In a child, before its program: have the kernel send it that signal when the parent dies, however it dies.

    It works after a SIGKILL of the parent, when no code of ours runs, and needs no process between the two. The broker
    gets SIGKILL, for a JVM that hangs would survive less, and Kafka recovers from it.
    """
    _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
