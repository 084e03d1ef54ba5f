"""What all commands share: the settings in force, `-o table|json|jsonl`, and running a coroutine."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

import click
import orjson

from streams import settings as settings_module
from streams.cli import COMMANDS, drawing
from streams.settings import Settings

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def settings() -> Settings:
    """The settings in force for this command: options over environment over file over defaults."""
    environ, overrides = click.get_current_context().obj
    return settings_module.load({k: v for k, v in environ.items() if not _is_an_option(k)}, overrides)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; Ctrl-C ends it quietly with exit code 130."""
    try:
        return asyncio.run(main)
    except KeyboardInterrupt:
        sys.exit(130)


def output_option(function: F) -> F:
    """`-o table|json|jsonl`; a table when a person looks, JSON lines in a pipe."""
    default = "table" if sys.stdout.isatty() else "jsonl"
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "jsonl"]),
        default=default,
        show_default="table on a terminal, else jsonl",
        help="How to print.",
    )(function)


def show(rows: Iterable[Mapping[str, Any]], output: str, columns: Iterable[str]) -> None:
    """Print rows as JSON (all fields) or as a table of `columns`."""
    if output == "jsonl":
        for row in rows:
            line(row)
    elif output == "json":
        click.echo(orjson.dumps([dict(row) for row in rows], option=orjson.OPT_INDENT_2))
    else:
        drawing.console().print(drawing.table(rows, columns, lambda _row, _column: None))


def line(row: Mapping[str, Any]) -> None:
    """One record as one line of JSON on stdout."""
    click.echo(orjson.dumps(dict(row)))


def tell(words: str) -> None:
    """Say something to the person, on stderr; what a terminal would obey, as a stranger's text may hold, as `?`."""
    click.echo("\n".join(map(drawing.harmless, words.split("\n"))), err=True)


def _is_an_option(variable: str) -> bool:
    """Whether a variable stands for a command's option (HOOKLINE_LISTEN_PORT), which is no setting."""
    name = variable.removeprefix(settings_module.PREFIX).lower()
    if name in ("bootstrap_server", "color", "quiet", "verbose", "signing_key"):
        return True
    return name not in Settings.__struct_fields__ and name.split("_")[0] in COMMANDS and "_" in name
