"""`hookline hook rotate-key`: a new signing key for a hook, made here; the old one signs beside it for a while."""

import sys
import time
from typing import TYPE_CHECKING

import click

from streams.cli import hook_shown
from streams.cli.hook_changes import ask, dry_run_option, yes_option
from streams.cli.hook_create import KEY, drawn
from streams.cli.output import output_option, run, settings, tell
from streams.core import hook_edits
from streams.core.errors import InvalidInput
from streams.core.moments import iso

if TYPE_CHECKING:
    from streams.core.records import Hook

HOUR_MS = 3_600_000
HOURS_MAX = 7 * 24
"""An old key that signs for longer than a week was not rotated out."""


@click.command("rotate-key")
@click.argument("hook_id", metavar="ID")
@click.option(
    "--overlap-hours",
    type=click.IntRange(0, HOURS_MAX),
    default=24,
    show_default=True,
    help="How long the old key signs too; 0: not at all.",
)
@yes_option
@dry_run_option
@output_option
def rotate_key(hook_id: str, overlap_hours: int, yes: bool, dry_run: bool, output: str) -> None:
    """Give a hook a new signing key and print its record. On a terminal it asks first.

    The new key is shown this once. Until the overlap is over, webhook-signature carries a signature of each key, so
    that the receiver may change over at any moment of it. logto-signature-sha-256 has room for one: the new key's.

    \b
    Example: the old key has leaked
      hookline hook rotate-key 21characters0to9andaz --overlap-hours 0
    """
    from streams.kafka import hook_records
    from streams.kafka.answers import answered

    ours, now_ms = settings(), time.time_ns() // 1_000_000
    found = run(answered(ours, hook_records.read(ours)))
    hook_shown.require(found, [hook_id])
    stored = hook_shown.in_force(found, hook_id)
    value = hook_edits.rotated(stored.value, drawn(*KEY), now_ms, overlap_hours * HOUR_MS)
    if problem := hook_records.refusal(hook_records.rules(ours), hook_id, value):
        raise InvalidInput(f"with a new key this hook is refused: {problem}")
    words = _words(stored.hook, now_ms + overlap_hours * HOUR_MS if overlap_hours else None)
    if not (yes or dry_run) and sys.stdin.isatty():
        ask("Rotate its key?", found, [hook_id], words)
    if not dry_run:
        run(answered(ours, hook_records.write(ours, [(hook_id, value)], {hook_id: stored.version[1]})))
    secrets = ("signingKey", "headers") if dry_run else ("headers",)
    hook_shown.show_record(hook_shown.masked(value, *secrets), output)
    if ours.log_level != "error":
        tell(f"{'would rotate' if dry_run else 'rotated'} the key of {hook_id}; {words}")


def _words(hook: "Hook", until_ms: int | None) -> str:
    """What its people have to do, and until when."""
    if until_ms is None:
        return "the old key signs nothing more: give the receiver the new one at once"
    if hook.delivery.signature == "logto":
        return (
            "logto-signature-sha-256, the only signature that this hook asks for, has room for one key: "
            "give the receiver the new one at once"
        )
    until = f"webhook-signature carries both keys' until {iso(until_ms)}: give the receiver the new one before that"
    if hook.delivery.signature == "standard":
        return until
    return f"{until}, or at once if it verifies logto-signature-sha-256, which is the new key's alone"
