"""The `hookline` command: one file a noun, loaded only when it is called, so that `--help` stays quick.

JSON goes to stdout, words for people to stderr. Exit codes: 0 ok, 1 failed, 2 usage, 3 broker unreachable,
4 invalid input (CONTRACT 9).
"""

import importlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from streams.core.errors import HooklineError, InvalidInput

COMMANDS = {
    "up": "the whole line on this machine until Ctrl-C, with a local broker if none is configured",
    "run": "one role: router, sender or health",
    "broker": "a local Apache Kafka broker for development",
    "topic": "plan, make or check the topics, and list the rights that they need",
    "hook": "list, read, write, enable, disable and delete hooks",
    "event": "publish identity events, print samples, follow the topics",
    "request": "outcomes of deliveries: the last ones, live, or sent again",
    "health": "24-hour health of every hook",
    "dlq": "dead letters: records nobody could read, and putting them back",
    "listen": "a receiver that verifies signatures, and can fail or be slow on purpose",
    "signature": "sign a body, or verify what you received",
    "schema": "the JSON Schemas and the AsyncAPI document",
    "config": "show the settings in force",
    "doctor": "look at everything when something is wrong, and say what to do",
    "version": "print the version",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"streams.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Describe the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "HOOKLINE"})
@click.option("-b", "--bootstrap-server", metavar="HOST:PORT", help="Kafka brokers  [HOOKLINE_BOOTSTRAP_SERVERS]")
@click.option("--config", "config_file", metavar="FILE", help="TOML file with settings  [HOOKLINE_CONFIG]")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="NO_COLOR is obeyed.")
@click.option("-v", "--verbose", is_flag=True, help="Log at debug level.")
@click.option("-q", "--quiet", is_flag=True, help="Log errors only, print no progress.")
@click.pass_context
def cli(
    ctx: click.Context, /, bootstrap_server: str | None, config_file: str | None, color: str, verbose: bool, quiet: bool
) -> None:
    """Webhooks for identity events on Kafka.

    \b
    Try it:     hookline up                      the whole line, here, until Ctrl-C
    Then:       hookline hook create --url http://127.0.0.1:9000/ --events 'User.*'
                hookline event sample User.Created | hookline event publish
                hookline request tail
    """
    environ = dict(os.environ)
    if config_file:
        environ["HOOKLINE_CONFIG"] = config_file
    overrides: dict[str, Any] = {"bootstrap_servers": bootstrap_server}
    if verbose or quiet:
        overrides["log_level"] = "debug" if verbose else "error"
    ctx.color = {"always": True, "never": False}.get(color)
    ctx.obj = (environ, overrides)


def _require_text(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Refuse bytes that are no text: Python hands them over as half characters, which no JSON and no record can hold.

    Nothing is shown of them, for they may be a secret's.
    """
    words = {f"argument {number}": word for number, word in enumerate(arguments, 1)}
    words |= {name: value for name, value in environ.items() if name.startswith("HOOKLINE_")}
    for name, word in words.items():
        try:
            word.encode()
        except UnicodeEncodeError:
            raise InvalidInput(f"{name} is not UTF-8 text".encode("utf-8", "replace").decode()) from None


def main() -> None:
    """Run the command; an error that Hookline raised on purpose is one sentence and its exit code."""
    logging.getLogger().addHandler(logging.NullHandler())  # what libraries think is for the roles' logs
    try:
        _require_text(sys.argv[1:], os.environ)
        cli()
    except HooklineError as error:
        from streams.cli.output import tell

        tell(f"hookline: {error}")
        sys.exit(error.exit_code)
