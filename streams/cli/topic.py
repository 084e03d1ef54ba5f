"""`hookline topic plan|apply|check|rights`: the topics that Hookline needs, on the configured cluster."""

import sys
from collections.abc import Sequence

import click
import msgspec

from streams.cli.confirming import confirm
from streams.cli.output import output_option, run, settings, show, tell
from streams.kafka import admin, rights
from streams.kafka.differences import Difference

COLUMNS = ("topic", "kind", "setting", "found", "wanted", "remedy", "fatal")
RIGHTS = ("role", "resource", "name", "pattern", "operation")


@click.group()
def command() -> None:
    """Plan, make or check the topics; list the rights that roles and people need on them.

    What differs is mended by `apply`, or refused for the reason that is told, or the operator's choice. With a
    difference marked fatal no role starts.
    """


@command.command()
@output_option
def plan(output: str) -> None:
    """Show what differs from the topics that Hookline needs; exit code 1 if anything does but the operator's choice."""
    found = run(admin.plan(settings()))
    _show(found, output)
    _tell_reasons(found)
    sys.exit(int(any(difference.remedy != "choice" for difference in found)))


@command.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@output_option
def apply(yes: bool, dry_run: bool, output: str) -> None:
    """Make missing topics and mend others; never deletes, safe to repeat. Exit code 1 if something was refused.

    On a terminal it asks first.
    """
    ours = settings()
    found = run(admin.plan(ours))
    quiet = ours.log_level == "error"
    if not dry_run and any(difference.remedy == "apply" for difference in found):
        if not yes and sys.stdin.isatty():
            _ask(found)
        if not quiet:
            tell(f"mending the topics on {ours.bootstrap}")
        found = run(admin.apply(ours))
    _show(found, output)
    _tell_reasons(found)
    if not quiet:
        count = sum(difference.remedy == "apply" for difference in found)
        tell(f"{'would mend' if dry_run else 'mended'} {count} of {len(found)} differences")
    sys.exit(int(any(difference.remedy == "refused" for difference in found)))


@command.command()
def check() -> None:
    """Check the topics as every role does before it starts; exit code 1 and the reasons if they do not fit."""
    ours = settings()
    run(admin.check(ours))
    if ours.log_level != "error":
        tell(f"the topics on {ours.bootstrap} fit")


@command.command("rights")
@click.argument("role", nargs=-1, type=click.Choice(list(rights.RIGHTS)), metavar="[ROLE]...")
@output_option
def list_rights(role: tuple[str, ...], output: str) -> None:
    """List the least rights of the roles and of people, for a cluster with ACLs; asks no broker.

    \b
    ROLE is router, sender, health, operator, administrator or upstream; all when none is named.
    A pattern of `prefixed` means every name that begins so, as in kafka-acls --resource-pattern-type.
    """
    show([msgspec.structs.asdict(right) for right in rights.of(settings(), *role)], output, RIGHTS)


def _show(found: Sequence[Difference], output: str) -> None:
    show([msgspec.structs.asdict(difference) for difference in found], output, COLUMNS)


def _tell_reasons(found: Sequence[Difference]) -> None:
    """Say why some differences stay; the others speak for themselves."""
    for difference in found:
        if difference.remedy != "apply":
            tell(difference.sentence)


def _ask(found: Sequence[Difference]) -> None:
    for difference in found:
        tell(difference.sentence)
    confirm("Mend what can be mended?", "nothing was changed")
