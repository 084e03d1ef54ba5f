"""`hookline hook create`: a new hook from a few options; its id and signing key are made here, by the system's dice."""

import secrets
import string
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import orjson

from streams.cli import hook_shown, hook_urls
from streams.cli.delivery_options import delivery_options, policy
from streams.cli.output import output_option, run, settings, tell
from streams.core.errors import InvalidInput

if TYPE_CHECKING:
    from streams.settings import Settings

ID = (string.digits + string.ascii_lowercase, 21)
KEY = (string.digits + string.ascii_letters, 32)
"""Alphabet and length of ids and signing keys (CONTRACT 4)."""

events_option = click.option(
    "--events",
    metavar="NAME,...",
    multiple=True,
    required=True,
    help="What it wants: names, prefixes (User.*) or *. May be repeated.",
)
header_file_option = click.option(
    "--header-file",
    type=click.File("rb"),
    help="File, or - for stdin, with custom headers, one `name: value` a line.",
)


@click.command()
@click.option("--url", required=True, help="Where to POST.")
@events_option
@click.option("--name", default="", help="What people call it.")
@header_file_option
@delivery_options
@click.option("--tenant", default="default", show_default=True, metavar="ID", help="Whose events it wants.")
@click.option("--dry-run", is_flag=True, help="Check and show it, write nothing.")
@output_option
def create(
    url: str,
    events: tuple[str, ...],
    name: str,
    header_file: BinaryIO | None,
    tenant: str,
    dry_run: bool,
    output: str,
    **delivery: Any,
) -> None:
    """Make a hook and print its record.

    The signing key is shown this once. Header values are often secrets, which everybody on this machine could read on
    a command line: they come from a file or from stdin.

    \b
    Example:
      printf 'authorization: Bearer %s\\n' "$TOKEN" |
        hookline hook create --url https://crm.example.com/hooks --events 'Role.*' --header-file -
    """
    ours = settings()
    record = {
        "id": drawn(*ID),
        "tenantId": tenant,
        "name": name,
        "events": _events(events),
        "config": {"url": url, "headers": _headers(header_file)},
        "signingKey": drawn(*KEY),
        "enabled": True,
        "createdAt": time.time_ns() // 1_000_000,
        "delivery": policy(delivery),
    }
    _create(ours, record, dry_run=dry_run, output=output)


def _create(ours: "Settings", record: dict[str, Any], *, dry_run: bool, output: str) -> None:
    from streams.kafka import hook_records
    from streams.kafka.answers import answered

    hook_id, value = record["id"], orjson.dumps(record)
    if problem := hook_records.refusal(hook_records.rules(ours), hook_id, value):
        raise InvalidInput(f"this hook is refused: {problem}")
    for problem in filter(None, hook_urls.refusals(ours, [record["config"]["url"]])):
        raise InvalidInput(f"this hook is refused: {problem}")
    if dry_run:
        hook_shown.show_record(hook_shown.masked(value, "signingKey", "headers"), output)
        words = "would create this hook, under an id and a key of its own; nothing was written"
    else:
        run(answered(ours, hook_records.write(ours, [(hook_id, value)])))
        hook_shown.show_record(hook_shown.masked(value, "headers"), output)
        words = f"created {hook_id}; later its key is shown by `hookline hook get {hook_id} --reveal` alone"
    if ours.log_level != "error":
        tell(words)


def drawn(alphabet: str, length: int) -> str:
    """So many characters of the alphabet, by the system's dice."""
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _events(given: Iterable[str]) -> list[str]:
    """The names in order, each once."""
    names = (name.strip() for part in given for name in part.split(","))
    return list(dict.fromkeys(name for name in names if name))


def _headers(source: BinaryIO | None) -> dict[str, str]:
    """The headers in a file; what is wrong with it is told by line, since a value must not be repeated."""
    if source is None:
        return {}
    try:
        lines = source.read().decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise InvalidInput(f"the headers in {source.name} are not UTF-8 text") from None
    headers: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not line.strip():
            continue
        if not colon or not name or name in headers:
            raise InvalidInput(f"line {number} of {source.name} must be `name: value`, each name once")
        headers[name] = value
    return headers
