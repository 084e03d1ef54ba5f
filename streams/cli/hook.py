"""`hookline hook list|get`, and the group that the commands join which write."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from streams.cli import hook_shown
from streams.cli.hook_changes import delete, disable, enable
from streams.cli.hook_create import create
from streams.cli.hook_put import put
from streams.cli.hook_reseal import reseal
from streams.cli.hook_rotate import rotate_key
from streams.cli.output import output_option, run, settings, show, tell
from streams.core import hook_secrets
from streams.core.catalogue import Catalogue
from streams.core.errors import InvalidInput

if TYPE_CHECKING:
    from streams.core.records import Hook, Report
    from streams.kafka.hook_records import Hooks
    from streams.settings import Settings

COLUMNS = ("id", "name", "events", "host", "enabled", "success", "requests")


@click.group()
def command() -> None:
    """List, read, write, enable, disable, re-key and delete hooks: who wants which events at which URL.

    A hook is a record on hooks.config; every role follows a change within a second. Signing keys and header values
    are shown only when asked for, never taken from the command line, and sealed under HOOKLINE_MASTER_KEYS.

    \b
    Example:
      hookline hook create --url https://crm.example.com/hooks --events 'User.*'
    """


for writing in (create, put, enable, disable, rotate_key, reseal, delete):
    command.add_command(writing)


@command.command("list")
@click.option("--tenant", metavar="ID", help="Only the hooks of this tenant.")
@click.option("--event", metavar="NAME", help="Only the hooks that want this event, enabled or not.")
@output_option
def list_hooks(tenant: str | None, event: str | None, output: str) -> None:
    """List the hooks with their last 24 hours.

    Newest first; success rate and requests are those of the latest report on hooks.health.

    \b
    Example: who is told when a user is created?
      hookline hook list --event User.Created
    """
    from streams.kafka.answers import answered

    ours = settings()
    if event is not None and Catalogue(ours.extra_events).topic_of(event) is None:
        raise InvalidInput(f"{event!r} is no event: `hookline event sample --list` has them all")
    found, reports = run(answered(ours, _read(ours)))
    hooks = sorted((stored.hook for stored in found.in_force.values()), key=lambda hook: (-hook.created_at, hook.id))
    chosen = [hook for hook in hooks if tenant in (None, hook.tenant_id) and (event is None or _wants(hook, event))]
    rows = [_row(hook, reports.get(hook.id)) for hook in chosen]
    if output == "table":
        _draw(rows)
    else:
        show(rows, output, COLUMNS)
    for hook_id, reason in found.refused.items():
        tell(f"the latest record of {hook_id[:40]!r} is refused, and any version before it stays in force: {reason}")
    for stored in found.in_force.values():
        if stored.known.locked:
            tell(f"{stored.hook.id} cannot be opened, and its deliveries wait: {stored.known.locked}")


@command.command()
@click.argument("hook_id", metavar="ID")
@click.option("--reveal", is_flag=True, help="Print the signing keys and header values too.")
@output_option
def get(hook_id: str, reveal: bool, output: str) -> None:
    """Print the record of one hook.

    As it was written, members that Hookline does not know included; secrets only as `set`, unless --reveal.

    \b
    Example: change a hook by hand
      hookline hook get 21characters0to9andaz --reveal -o json > hook.json
      hookline hook put hook.json
    """
    from streams.kafka import hook_records
    from streams.kafka.answers import answered

    ours = settings()
    found = run(answered(ours, hook_records.read(ours)))
    hook_shown.require(found, [hook_id])
    stored = hook_shown.in_force(found, hook_id)
    if stored.known.locked:
        tell(f"its secrets cannot be opened, and its deliveries wait: {stored.known.locked}")
    shown = (
        hook_secrets.revealed(stored.value, hook_records.rules(ours).ring)
        if reveal
        else hook_shown.masked(stored.value, "signingKey", "headers")
    )
    hook_shown.show_record(shown, output)


async def _read(ours: "Settings") -> "tuple[Hooks, dict[str, Report]]":
    from streams.kafka import hook_records, reports

    return await asyncio.gather(hook_records.read(ours), reports.read(ours))


def _wants(hook: "Hook", event: str) -> bool:
    return any(event == name or (name.endswith("*") and event.startswith(name[:-1])) for name in hook.wants)


def _row(hook: "Hook", report: "Report | None") -> dict[str, Any]:
    return {
        "id": hook.id,
        "tenantId": hook.tenant_id,
        "name": hook.name,
        "events": hook.wants,
        "host": hook_shown.host(hook),
        "enabled": hook.enabled,
        "keepPending": hook.keep_pending,
        "retiredKeysUntil": [retired.until for retired in hook.retired_keys],
        "status": report and report.status,
        "requestCount": report and report.request_count,
        "successCount": report and report.success_count,
        "successRate": report and report.success_rate,
        "createdAt": hook.created_at,
    }


def _draw(rows: list[dict[str, Any]]) -> None:
    """As Logto's console has it: no figures for a hook that is off, a dash where nothing was requested."""
    from streams.cli.drawing import console, percent, table

    def status(row: Mapping[str, Any], column: str) -> str | None:
        return row["status"] if column == "success" else None

    for row in rows:
        counted = row["requestCount"] if row["enabled"] else None
        row |= {"requests": counted, "success": percent(row["successCount"], counted) if counted else None}
    console().print(table(rows, COLUMNS, status))
