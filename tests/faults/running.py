"""Runs faults: those that compare latencies alone, the others three at a time; a breach of I4 is measured again."""

import asyncio
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import structs

from tests.faults.checking import Row, check
from tests.faults.scenarios import Fault
from tests.faults.stage import Place

BESIDE = 3
"""Scenarios at once where no latency is compared: each waits most of its time."""

Tell = Callable[[str], None]


async def run(place: Place, fault: Fault) -> Row:
    """One fault's row."""
    row = await _once(place, fault)
    if any(words.startswith("I4") for words in row.broken):
        row = await _once(place, fault)
    return row


async def run_all(place: Place, faults: Sequence[Fault], tell: Tell) -> list[Row]:
    """The rows in the order of the faults; progress is told as faults begin and end."""
    slots = asyncio.Semaphore(BESIDE)
    done: dict[str, Row] = {}

    async def one(fault: Fault) -> None:
        async with slots:
            began = time.monotonic()
            tell(f"{fault.name} ...")
            row = done[fault.name] = await _survived(place, fault)
            how = "; ".join(row.broken) or f"{row.outcomes} of {row.events} outcomes, {row.duplicated} duplicated"
            tell(f"[{len(done)}/{len(faults)}] {fault.name}: {how} ({time.monotonic() - began:.0f} s)")

    await asyncio.gather(*(one(fault) for fault in faults if not fault.alone))
    for fault in faults:
        if fault.alone:
            await one(fault)
    return [done[fault.name] for fault in faults]


async def _survived(place: Place, fault: Fault) -> Row:
    """A scenario that fails by itself is a broken row, and the others go on."""
    try:
        return await run(place, fault)
    except Exception as error:
        traceback.print_exception(error)
        return Row(fault=fault.name, broken=[f"the scenario failed: {error!r}"])


async def _once(place: Place, fault: Fault) -> Row:
    directory = Path(tempfile.mkdtemp(prefix=fault.name.replace(" ", "-") + "-", dir=place.directory))
    facts = await fault.run(structs.replace(place, directory=directory))
    row = check(facts)
    if row.broken:
        (directory / "facts.json").write_bytes(msgspec.json.encode(facts))
    return row
