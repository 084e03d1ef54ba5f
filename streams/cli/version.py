"""`hookline version`."""

from importlib.metadata import version

import click


@click.command()
def command() -> None:
    """Print the version of Hookline and of what it runs on."""
    for name in ("hookline", "faust-streaming", "aiokafka", "aiohttp"):
        click.echo(f"{name} {version(name)}")
