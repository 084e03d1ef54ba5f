"""The quick part of the fault suite, one test a fault; `make faults` runs all of it and prints the table."""

from pathlib import Path

import pytest

from tests.faults.running import run
from tests.faults.scenarios import FAULTS, Fault
from tests.faults.stage import Place

QUICK = [fault for fault in FAULTS if fault.quick]


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_the_line_survives(fault: Fault, bootstrap: str, jars: Path, tmp_path: Path) -> None:
    """No job is lost, none ends twice, none is sent twice, early or out of order, nobody else notices."""
    row = await run(Place(bootstrap=bootstrap, directory=tmp_path, jars=jars, quick=True), fault)
    assert row.broken == []


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
