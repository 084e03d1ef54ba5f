"""`make fuzz`: every door, guided by the code that its input reaches; a table at the end, exit code 1 after a crash.

Each door is tried by a process of its own (`guided`), for its share of FUZZ_SECONDS. What a door cannot take is kept
as a file that is named here, and `python -m tests.fuzz.guided DOOR FILE` tries that file again.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from tests.fuzz.door import Door
from tests.fuzz.doors import DOORS, close
from tests.fuzz.growing import Growth, growth
from tests.fuzz.tallying import Tally

COLUMNS = ("tried", "refused", "let through", "crashed", "kept", "slowest ms", "of bytes", "4 times the size costs")
GRACE_S = 90
"""Importing with instruments takes a while, and so may the last input."""


def tried(door: Door, seconds: float, kept: Path) -> Tally:
    """What became of a door in so many seconds."""
    told = kept / f"{_word(door)}.json"
    command = [sys.executable, "-m", "tests.fuzz.guided", door.name, str(kept), str(seconds)]
    try:
        with tempfile.TemporaryDirectory(prefix="hookline-fuzz-") as own:
            environ = os.environ | {"TMPDIR": own}
            ran = subprocess.run(
                command, timeout=seconds + GRACE_S, check=False, capture_output=True, text=True, env=environ
            )
        ending = f"its process ended with {ran.returncode}: {ran.stderr[-600:]}" if ran.returncode else ""
    except subprocess.TimeoutExpired:
        ending = "an input came to no end"
    tally = msgspec.json.decode(told.read_bytes(), type=Tally) if told.exists() else Tally()
    told.unlink(missing_ok=True)
    if ending:
        tally.crashes[ending] = str(kept / f"{_word(door)}-last")
    return tally


def tell(console: Console, tallies: dict[str, Tally], growths: dict[str, Growth]) -> None:
    """The table, and what crashed with the file of its input."""
    drawn = Table(title="Bad input at every door")
    drawn.add_column("door", no_wrap=True)
    for column in COLUMNS:
        drawn.add_column(column, justify="right")
    for name, tally in tallies.items():
        cells = (tally.tried, tally.refused, tally.let_through, len(tally.crashes), tally.kept)
        slowest = f"{max(tally.slowest_ms, growths[name].ms):.1f}", f"{tally.slowest_bytes:,}"
        drawn.add_row(name, *map("{:,}".format, cells), *slowest, str(growths[name]), style=_style(tally))
    console.print(drawn)
    for name, tally in tallies.items():
        for words, path in tally.crashes.items():
            console.print(
                f"{name}: {words}\n  input: {path}", style="red", markup=False, highlight=False, soft_wrap=True
            )


def main(names: list[str], seconds: float, kept: Path) -> int:
    """Try the doors whose names hold one of the words, all of them without one; answers the exit code."""
    console = Console(width=max(Console().width, 160))
    doors = [door for door in DOORS.values() if not names or any(name in door.name for name in names)]
    kept.mkdir(parents=True, exist_ok=True)
    began, tallies, growths = time.monotonic(), dict[str, Tally](), dict[str, Growth]()
    for number, door in enumerate(doors, 1):
        console.print(f"{time.monotonic() - began:5.0f} s  {number} of {len(doors)}: {door.name}", highlight=False)
        growths[door.name] = growth(door)
        tallies[door.name] = tried(door, seconds / len(doors), kept)
    tell(console, tallies, growths)
    close()
    return 1 if any(tally.crashes for tally in tallies.values()) else 0


def _word(door: Door) -> str:
    return door.name.replace(" ", "-").replace(",", "")


def _style(tally: Tally) -> str | None:
    return "red" if tally.crashes else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="only doors whose names hold one of these")
    parser.add_argument("--seconds", type=float, default=300.0, help="for all doors together")
    parser.add_argument("--keep", type=Path, default=Path(".cache/fuzz"), help="where input that crashed is left")
    given = parser.parse_args()
    sys.exit(main(given.names, given.seconds, given.keep))
