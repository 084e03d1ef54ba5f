"""Runs the demo: broker, topics, roles, receivers, three hooks, and a few identity events a second.

Everything it starts ends with it, by itself after `--seconds` or on Ctrl-C. Exit code 0 when every delivery has
its outcome, 1 when one has not.
"""

import asyncio
import logging
import sys
import time

import click

from streams.core.errors import HooklineError


@click.command(help=__doc__)
@click.option("--seconds", type=click.FloatRange(min=0), default=0.0, help="End after so many; 0 means on Ctrl-C.")
def main(seconds: float) -> None:
    """Run the demo and exit."""
    began = time.monotonic()
    try:  # from the first word on, because it says that Ctrl-C ends it
        click.echo(
            "Hookline demo: events from Kafka become signed webhooks. Ctrl-C ends it and all it starts.", err=True
        )
        logging.getLogger().addHandler(logging.NullHandler())  # what libraries think is for the roles' logs
        from streams.demo.playing import play  # after the first words, because it imports everything

        tally = asyncio.run(play(seconds, began))
    except KeyboardInterrupt:  # while it was importing
        sys.exit(0)
    except HooklineError as error:
        click.echo(f"hookline: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(", ".join(f"{name} {count}" for name, count in tally.summary().items()))
    sys.exit(1 if tally.unexplained else 0)


if __name__ == "__main__":
    main()
