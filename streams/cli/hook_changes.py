"""`hookline hook enable|disable|delete`: changes to hooks that exist, each on top of the latest version in force.

Of two people who change one hook in the same second, the first wins and the second is told; a deletion always counts.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

import click

from streams.cli import hook_shown
from streams.cli.confirming import confirm
from streams.cli.output import output_option, run, settings, show, tell
from streams.core import hook_edits

if TYPE_CHECKING:
    from streams.kafka.hook_records import Hooks

COLUMNS = ("id", "action", "topic", "partition", "offset")

Verb = Literal["enable", "disable", "delete"]
"""What is done to a hook; with a `d` behind, what was done."""

Members = Mapping[str, bool | None]
"""What becomes of which members of the record; None removes one."""

CANCELLED = "deliveries that wait: ended as cancelled"
KEPT = "deliveries that wait: kept until the hook is enabled again"
SENT = "deliveries that were kept: sent as soon as they are due"

ids_argument = click.argument("hook_ids", metavar="ID...", nargs=-1, required=True)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")


@click.command()
@ids_argument
@dry_run_option
@output_option
def enable(hook_ids: tuple[str, ...], dry_run: bool, output: str) -> None:
    """Let hooks receive events again, from now on, and the deliveries that were kept for them.

    \b
    Example:
      hookline hook enable 21characters0to9andaz
    """
    members = {"enabled": True, "keepPending": None}
    _change("enable", members, SENT, hook_ids, asking=False, dry_run=dry_run, output=output)


@click.command()
@ids_argument
@click.option("--keep-pending", is_flag=True, help="Keep deliveries that wait, until the hook is enabled again.")
@yes_option
@dry_run_option
@output_option
def disable(hook_ids: tuple[str, ...], keep_pending: bool, yes: bool, dry_run: bool, output: str) -> None:
    """Stop sending to hooks, and keep all else about them. On a terminal it asks first.

    Deliveries that wait, for their first or their next attempt, end as `cancelled`; with --keep-pending they wait
    until the hook is enabled again. Events of the meantime are not kept either way.

    \b
    Example: disable all that fail
      hookline health | jq -r 'select(.status == "error").hookId' | xargs hookline hook disable
    """
    members, words = {"enabled": False, "keepPending": keep_pending or None}, KEPT if keep_pending else CANCELLED
    _change("disable", members, words, hook_ids, asking=not yes and sys.stdin.isatty(), dry_run=dry_run, output=output)


@click.command()
@ids_argument
@yes_option
@dry_run_option
@output_option
def delete(hook_ids: tuple[str, ...], yes: bool, dry_run: bool, output: str) -> None:
    """Delete hooks for good. On a terminal it asks first; without one it needs --yes.

    \b
    Example:
      hookline hook delete --yes 21characters0to9andaz
    """
    if not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError("there is no terminal to ask on: say --yes to delete")
    _change("delete", None, CANCELLED, hook_ids, asking=not yes, dry_run=dry_run, output=output)


def _change(
    verb: Verb,
    members: Members | None,
    words: str,
    hook_ids: Iterable[str],
    *,
    asking: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Write the latest version in force with `members` changed, or without members a null, which deletes."""
    from streams.kafka import hook_records
    from streams.kafka.answers import answered

    ours, wanted = settings(), list(dict.fromkeys(hook_ids))
    found = run(answered(ours, hook_records.read(ours)))
    hook_shown.require(found, wanted)
    records = [(hook_id, _record(members, found, hook_id)) for hook_id in wanted if _changes(members, found, hook_id)]
    if records and asking and not dry_run:
        ask(f"{verb.capitalize()} them?", found, [hook_id for hook_id, _ in records], words)
    made_from = {} if members is None else {hook_id: found.in_force[hook_id].version[1] for hook_id, _ in records}
    places = run(answered(ours, hook_records.write(ours, records, made_from))) if records and not dry_run else []
    at = {hook_id: place._asdict() for (hook_id, _), place in zip(records, places, strict=False)}
    done = {hook_id: f"would {verb}" if dry_run else f"{verb}d" for hook_id, _ in records}
    rows = [{"id": hook_id, "action": done.get(hook_id, "unchanged"), **at.get(hook_id, {})} for hook_id in wanted]
    show(rows, output, COLUMNS)
    if ours.log_level != "error":
        count = f"{f'would {verb}' if dry_run else f'{verb}d'} {len(records)} of {len(wanted)} hooks"
        tell(f"{count}; {words}" if records else count)


def _changes(members: Members | None, found: "Hooks", hook_id: str) -> bool:
    """Whether there is anything to do. Raises InvalidInput for a hook without a version to enable or disable."""
    if members is None:
        return True
    hook = hook_shown.in_force(found, hook_id).hook
    return (hook.enabled, hook.keep_pending) != (members["enabled"], bool(members["keepPending"]))


def _record(members: Members | None, found: "Hooks", hook_id: str) -> bytes | None:
    return None if members is None else hook_edits.changed(found.in_force[hook_id].value, members)


def ask(question: str, found: "Hooks", hook_ids: Iterable[str], words: str) -> None:
    """Name the hooks, say what follows and ask; anything but a yes ends the command with exit code 1."""
    from streams.cli.drawing import printable

    for hook_id in hook_ids:
        stored = found.in_force.get(hook_id)
        tell(f"{hook_id}  {printable(stored.hook.name)}  {hook_shown.host(stored.hook)}" if stored else hook_id)
    tell(words)
    confirm(question, "nothing was changed")
