"""The quick part of the fault suite; `make faults` runs all of it and prints the table."""

from pathlib import Path

import pytest
from rich.console import Console

from tests.faults import table
from tests.faults.running import run_all
from tests.faults.scenarios import FAULTS
from tests.faults.stage import Place

QUICK = [fault for fault in FAULTS if fault.quick]


@pytest.mark.timeout(400)
async def test_the_line_survives_the_commonest_faults(bootstrap: str, jars: Path, tmp_path: Path) -> None:
    """No job is lost, none ends twice, none is sent twice, early or out of order, and nobody else notices."""
    rows = await run_all(Place(bootstrap=bootstrap, directory=tmp_path, jars=jars, quick=True), QUICK, print)
    table.tell(Console(width=160), rows)
    assert [f"{row.fault}: {words}" for row in rows for words in row.broken] == []


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
