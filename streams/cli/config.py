"""`hookline config show`: every setting, where it came from, its default and its meaning."""

from typing import Any

import click

from streams import settings as settings_module
from streams.cli.output import output_option, settings, show
from streams.settings import Settings

COLUMNS = ("setting", "value", "source", "default", "meaning")


@click.group()
def command() -> None:
    """Show the settings in force."""


@command.command("show")
@output_option
def show_settings(output: str) -> None:
    """Print every setting; secrets only as set or unset. Options win over HOOKLINE_* over the file over defaults."""
    values = settings_module.describe(settings())
    defaults = settings_module.describe(Settings())
    sources = settings_module.sources(*click.get_current_context().obj)
    rows = [
        {
            "setting": variable,
            "value": values[name],
            "source": sources[name],
            "default": defaults[name],
            "meaning": meaning,
        }
        for name, (variable, _, meaning) in zip(values, settings_module.table(), strict=True)
    ]
    if output == "table":
        rows = [row | {"value": text(row["value"]), "default": text(row["default"])} for row in rows]
    show(rows, output, COLUMNS)


def text(value: Any) -> str:
    """A value as the environment could give it."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={topic}" for name, topic in value.items())
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value)
