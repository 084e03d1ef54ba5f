"""One door under atheris: `python -m tests.fuzz.guided DOOR DIRECTORY SECONDS`; with a file, that input alone."""

import os
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

with atheris.instrument_imports(include=["streams", "idna", "email._parseaddr", "ipaddress"]):
    import msgspec

    from tests.fuzz.doors import DOORS

from tests.fuzz.mutating import mutated
from tests.fuzz.tallying import Tally, watched

TELL_EVERY = 500
"""Inputs between two notes, so that the count survives whatever ends the process."""


def main(name: str, kept: Path, seconds: float) -> None:
    """Feed the door until the time is over; the process ends then, for libFuzzer never gives back control."""
    door, tally, word = DOORS[name], Tally(), name.replace(" ", "-").replace(",", "")
    enter, told = watched(door, tally, kept, word), kept / f"{word}.json"
    until = time.monotonic() + seconds
    corpus = Path(tempfile.mkdtemp(prefix="hookline-fuzz-"))

    def tell() -> None:
        tally.kept = len(list(corpus.iterdir()))
        told.write_bytes(msgspec.json.encode(tally))

    def once(data: bytes) -> None:
        enter(data)
        if tally.tried % TELL_EVERY == 0:
            tell()
        if time.monotonic() >= until:
            tell()
            os._exit(0)  # the caller clears up what is left

    def changed(data: bytes, most: int, seed: int) -> bytes:
        dice = Random(seed)
        made = mutated(data, dice) if dice.random() < 0.6 else atheris.Mutate(data, most)
        return made[:most]

    for number, seed in enumerate(door.seeds):
        (corpus / f"seed{number}").write_bytes(seed)
    most = min(door.size, 64 * 1024)  # larger ones are for `growing`: here they would take the time of a thousand
    prefix = f"-artifact_prefix={kept}/{word}-last-"
    limits = [f"-max_len={most}", "-timeout=60", "-rss_limit_mb=4096", "-verbosity=0", "-print_final_stats=0"]
    atheris.Setup([sys.argv[0], str(corpus), prefix, *limits], once, custom_mutator=changed)
    atheris.Fuzz()


if __name__ == "__main__":
    if Path(sys.argv[2]).is_file():
        print("let through" if DOORS[sys.argv[1]].enter(Path(sys.argv[2]).read_bytes()) else "refused")
    else:
        main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
