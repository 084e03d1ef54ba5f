"""Asking before something is done that cannot be taken back."""

import sys

import click

from streams.cli.output import tell

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")


def require_somebody(*, yes: bool, dry_run: bool) -> None:
    """A usage error when there is nobody to ask, and nobody has said yes."""
    if not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError("there is no terminal to ask on: say --yes, or --dry-run")


def confirm(question: str, declined: str = "nothing was sent") -> None:
    """Ask; anything but a yes ends the command with exit code 1, and these words."""
    # Not click.confirm, which prints a blank to stdout.
    click.echo(f"{question} [y/N] ", nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        tell(declined)
        sys.exit(1)
