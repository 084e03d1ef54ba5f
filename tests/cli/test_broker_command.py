"""`hookline broker run|status` as a person or a script sees them."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from streams.kafka import broker_files
from streams.kafka.broker_ready import free_port

Hookline = Callable[..., Awaitable[Process]]


@pytest.fixture
async def hookline(jars: Path) -> AsyncIterator[Hookline]:
    """Starts `hookline broker ...` with the shared jars; what still runs at the end is killed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    environ["HOOKLINE_DATA_DIR"] = str(jars.parents[2])
    started: list[Process] = []

    async def start(*arguments: str | Path) -> Process:
        words = ("-m", "streams", "broker", *map(str, arguments))
        started.append(
            await asyncio.create_subprocess_exec(sys.executable, *words, env=environ, stdout=PIPE, stderr=PIPE)
        )
        return started[-1]

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def first_line(process: Process) -> str:
    """The first line on stdout, which comes when the broker is ready."""
    assert process.stdout
    async with asyncio.timeout(60):
        return (await process.stdout.readline()).decode().strip()


async def status(hookline: Hookline, directory: Path) -> tuple[int | None, dict[str, object]]:
    process = await hookline("status", "--data-dir", directory, "-o", "jsonl")
    output, _ = await process.communicate()
    return process.returncode, orjson.loads(output)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_runs_in_the_foreground_until_told_to_stop(
    hookline: Hookline, tmp_path: Path, number: signal.Signals
) -> None:
    port = free_port()
    process = await hookline("run", "--port", str(port), "--data-dir", tmp_path)
    assert await first_line(process) == f"127.0.0.1:{port}"

    code, row = await status(hookline, tmp_path)
    assert code == 0
    size = row.pop("bytes")
    assert isinstance(size, int)
    assert 0 < size < 10_000_000
    found = broker_files.find(tmp_path)
    assert found
    assert row == {
        "running": True,
        "bootstrap": f"127.0.0.1:{port}",
        "pid": found.pid,
        "clusterId": found.cluster_id,
        "directory": str(tmp_path),
    }

    process.send_signal(number)
    rest, words = await process.communicate()
    assert process.returncode == 0
    assert rest == b""
    assert [line.split()[0] for line in words.decode().splitlines()] == ["starting", "ready"]
    code, row = await status(hookline, tmp_path)
    assert (code, row["running"], row["pid"]) == (3, False, None)


async def test_no_broker_outlives_a_killed_command_and_its_note_is_not_believed(
    hookline: Hookline, tmp_path: Path
) -> None:
    process = await hookline("run", "--port", str(free_port()), "--data-dir", tmp_path)
    await first_line(process)
    broker = broker_files.find(tmp_path)
    assert broker
    java = os.pidfd_open(broker.pid)
    process.kill()
    await until_ended(java)

    assert broker_files.note(tmp_path).exists()
    code, row = await status(hookline, tmp_path)
    assert (code, row["running"]) == (3, False)


async def test_it_can_be_stopped_while_it_starts(hookline: Hookline, tmp_path: Path) -> None:
    process = await hookline("run", "--port", str(free_port()), "--data-dir", tmp_path)
    assert process.stderr
    assert b"starting the broker" in await process.stderr.readline()
    process.terminate()
    output, words = await process.communicate()
    assert (process.returncode, output, words) == (0, b"", b"")
    assert broker_files.find(tmp_path) is None


async def test_what_went_wrong_is_one_sentence_and_exit_code_1(hookline: Hookline, tmp_path: Path) -> None:
    port = free_port()
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    async with server:
        process = await hookline("run", "--port", str(port), "--data-dir", tmp_path)
        output, words = await process.communicate()
    assert (process.returncode, output) == (1, b"")
    assert words.decode() == (
        f"hookline: port {port} of 127.0.0.1 cannot be used (Address already in use): "
        "stop what uses it, or name another port\n"
    )


async def test_status_of_a_directory_that_never_had_a_broker(hookline: Hookline, tmp_path: Path) -> None:
    code, row = await status(hookline, tmp_path / "none")
    assert code == 3
    assert row == {
        "running": False,
        "bootstrap": None,
        "pid": None,
        "clusterId": None,
        "directory": str(tmp_path / "none"),
        "bytes": 0,
    }


async def until_ended(process: int) -> None:
    """Wait for the end of a process that is not ours, by its pidfd."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(process, ended.set)
    try:
        async with asyncio.timeout(10):
            await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(process)
        os.close(process)
