"""`hookline hook reseal`: the secrets of all hooks under the current master key, after it was changed."""

import sys
from typing import TYPE_CHECKING

import click
from msgspec import Struct, field

from streams.cli.confirming import dry_run_option
from streams.cli.output import output_option, run, settings, show, tell
from streams.cli.progress import progress
from streams.core.errors import InvalidInput

if TYPE_CHECKING:
    from streams.settings import Settings

BATCH = 1000
"""Hooks written at a time. A run that is killed does at most so many again; fewer at a time would cost more, since
after each the topic is read from the oldest of them to its end."""

FEW = 200
"""Done before a bar could be read."""


class Done(Struct):
    """What became of the hooks; `locked` says why one cannot be opened."""

    hooks: int = 0
    resealed: int = 0
    overtaken: int = 0
    locked: dict[str, str] = field(default_factory=dict)


@click.command()
@dry_run_option
@output_option
def reseal(dry_run: bool, output: str) -> None:
    """Seal the secrets of all hooks under the current master key.

    For plain secrets written before there was a key, and for those under an older key. To change keys: put the new one
    first in HOOKLINE_MASTER_KEYS of every role and of this command, the old one behind it; restart the roles; reseal;
    then drop the old key. Dead letters of hook records stay under the key of their time. A hook that is current
    already is left alone, so that a run which was stopped goes on where it ended.

    \b
    Example: make a first key
      export HOOKLINE_MASTER_KEYS="k1:$(openssl rand -base64 32)" && hookline hook reseal
    """
    from streams.kafka.answers import answered

    ours = settings()
    if not ours.master_keys:
        raise InvalidInput("there is no key to seal with: set HOOKLINE_MASTER_KEYS (`--help` shows how to make one)")
    done = run(answered(ours, _reseal(ours, dry_run=dry_run)))
    row = {"dryRun": dry_run, "hooks": done.hooks, "resealed": done.resealed, "changedMeanwhile": done.overtaken}
    show([row | {"locked": sorted(done.locked)}], output, (*row, "locked"))
    for hook_id, why in done.locked.items():
        tell(f"{hook_id} cannot be opened, and its deliveries wait: {why}")
    if ours.log_level != "error":
        tell(f"{'would reseal' if dry_run else 'resealed'} {done.resealed} of {done.hooks} hooks")
    if done.overtaken:
        tell(f"somebody changed {done.overtaken} meanwhile: run it once more")
    if done.locked or done.overtaken:
        sys.exit(1)


async def _reseal(ours: "Settings", *, dry_run: bool) -> Done:
    from streams.kafka import hook_records

    found = (await hook_records.read(ours)).in_force
    rules = hook_records.rules(ours)
    stale = [hook_id for hook_id, stored in found.items() if not hook_records.is_sealed(stored.value, rules.ring)]
    locked = {hook_id: stored.known.locked for hook_id, stored in found.items() if stored.known.locked}
    done = Done(len(found), len(stale), 0, locked)
    if dry_run:
        return done
    with progress(len(stale), FEW, ours) as advance:
        for start in range(0, len(stale), BATCH):
            batch = {hook_id: found[hook_id] for hook_id in stale[start : start + BATCH]}
            values = [(hook_id, stored.value) for hook_id, stored in batch.items()]
            try:
                await hook_records.write(ours, values, {hook_id: old.version[1] for hook_id, old in batch.items()})
            except hook_records.Overtaken as error:
                done.overtaken += len(error.hook_ids)
            advance(len(batch))
    done.resealed -= done.overtaken
    return done
