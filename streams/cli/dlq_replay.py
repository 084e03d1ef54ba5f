"""`hookline dlq replay`: originals of dead letters back on their topics, once the cause is mended."""

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, get_args

import click
import orjson

from streams.cli import confirming, hook_shown, inputs
from streams.cli.dlq_rows import Place, place
from streams.cli.drawing import printable
from streams.cli.output import output_option, run, settings, tell
from streams.cli.progress import progress
from streams.cli.request_replay import FEW, NAMED_MAX, RATE_MAX
from streams.cli.times import Moment
from streams.core.records import Coordinates, Reason

if TYPE_CHECKING:
    from streams.kafka.dead_letters import Returned
    from streams.settings import Settings


@click.command()
@click.argument("places", metavar="[PLACE]...", nargs=-1, type=Place())
@click.option("--reason", type=click.Choice(get_args(Reason)), help="All that was refused for this.")
@click.option("--topic", metavar="NAME", help="All that came from this topic, named without prefix.")
@click.option("--since", type=Moment(), metavar="TIME", help="Only from then on: 2h or 3d (ago), or ISO 8601.")
@click.option("--rate", type=click.IntRange(1, RATE_MAX), default=50, show_default=True, help="Most in a second.")
@confirming.dry_run_option
@confirming.yes_option
@output_option
def replay(places: tuple[tuple[int, int], ...], rate: int, dry_run: bool, yes: bool, output: str, **asked: Any) -> None:
    """Put originals back on the topics they came from.

    Dead letters by their places, or all with a reason: the same key, bytes and headers, to the same partition. A hook
    record goes back only if it validates now and no later record of its hook exists. What would be refused again, by
    the settings here, is told before you confirm. Nothing remembers what was put back: an event without an id of its
    own that goes back twice is two events.

    \b
    Example: an event that had not been declared
      hookline dlq replay --reason unknown-event --since 1d --dry-run
    """
    if bool(places) == any(asked.values()):
        raise click.UsageError("say which: places, or --reason, --topic and --since")
    confirming.require_somebody(yes=yes, dry_run=dry_run)
    ours = settings()
    chosen = _chosen(ours, places, **asked)
    found = _run(ours, chosen)
    _tell(chosen, found)
    able = len(chosen) - len(found.obstacles) - len(found.gone)
    if not able and chosen:
        problems = [f"{place(at)}: {printable(why)}" for at, why in found.obstacles.items()]
        inputs.refuse(problems or ["they are gone"], len(chosen), "nothing was sent")
    if not dry_run and able:
        if not yes:
            confirming.confirm("Put them back?")
        found = _run(ours, chosen, rate)
    _show(chosen, found, dry_run, output)
    if not dry_run and (found.obstacles or found.gone):
        sys.exit(1)


def _chosen(
    ours: "Settings", places: tuple[tuple[int, int], ...], reason: str | None, topic: str | None, since: int | None
) -> list[Coordinates]:
    from streams.kafka import dead_letters
    from streams.kafka.answers import answered

    if places:
        letters = run(answered(ours, dead_letters.read(ours, dict.fromkeys(places))))
        return sorted(letter.at for letter in letters)
    wanted = dead_letters.Wanted(reason, topic and ours.topic_prefix + topic, since or 0)
    return run(answered(ours, dead_letters.chosen(ours, wanted)))


def _run(ours: "Settings", chosen: list[Coordinates], rate: int | None = None) -> "Returned":
    """Put them back at this rate; without one, only look what would become of them."""
    from streams.kafka import dead_letters
    from streams.kafka.answers import answered

    async def work() -> "Returned":
        async with dead_letters.returning(ours) as desk:
            if rate is None:
                return await desk.tried(chosen)
            with progress(len(chosen), FEW, ours) as advance:
                return await desk.send(chosen, rate, advance)

    return run(answered(ours, work()))


def _tell(chosen: list[Coordinates], found: "Returned") -> None:
    """Say what would become of them."""
    tell(f"{len(chosen)} dead letters to put back")
    for words, problems in (("stay", found.obstacles), ("would be refused again", found.refused_again)):
        for why, count in Counter(problems.values()).most_common(NAMED_MAX):
            tell(f"  {count} {words}: {printable(why)}")
    if found.gone:
        tell(f"  {len(found.gone)} are gone")


def _show(chosen: list[Coordinates], found: "Returned", dry_run: bool, output: str) -> None:
    row = {
        "dryRun": dry_run,
        "chosen": len(chosen),
        "sent": found.sent,
        "refusedAgain": {place(at): why for at, why in found.refused_again.items()},
        "kept": {place(at): why for at, why in found.obstacles.items()},
        "gone": [place(at) for at in found.gone],
    }
    hook_shown.show_record(orjson.dumps(row), output)
