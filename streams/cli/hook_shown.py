"""A hook's record as the `hook` commands print it: whole, in the writer's own members, secrets only when asked for."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import msgspec

from streams.core.errors import InvalidInput

if TYPE_CHECKING:
    from streams.core.records import Hook
    from streams.kafka.hook_records import Hooks, Stored

SET = msgspec.Raw(b'"set"')


def require(found: "Hooks", hook_ids: Iterable[str]) -> None:
    """Raise InvalidInput that names every id of which `hooks.config` holds nothing."""
    unknown = [hook_id for hook_id in hook_ids if hook_id not in found.in_force and hook_id not in found.refused]
    if unknown:
        raise InvalidInput(f"there is no hook {', '.join(unknown)}: `hookline hook list` has them all")


def in_force(found: "Hooks", hook_id: str) -> "Stored":
    """The version of a hook that the roles go by. Raises InvalidInput when there never was one."""
    if hook_id not in found.in_force:
        raise InvalidInput(f"hook {hook_id} was never valid: {found.refused[hook_id]}")
    return found.in_force[hook_id]


def masked(value: bytes, *secrets: str) -> bytes:
    """The record with `set` in place of its signing key ("signingKey") or its header values ("headers").

    Keys that were rotated out are masked in any case: nobody needs one but a receiver, which has it.
    """
    record = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    if "signingKey" in secrets:
        record["signingKey"] = SET
    if "retiredKeys" in record:
        retired = msgspec.json.decode(record["retiredKeys"], type=list[dict[str, msgspec.Raw]])
        record["retiredKeys"] = msgspec.Raw(msgspec.json.encode([old | {"signingKey": SET} for old in retired]))
    config = msgspec.json.decode(record["config"], type=dict[str, msgspec.Raw])
    if "headers" in secrets and "headers" in config:
        names = msgspec.json.decode(config["headers"], type=dict[str, msgspec.Raw])
        config["headers"] = msgspec.Raw(msgspec.json.encode(dict.fromkeys(names, SET)))
        record["config"] = msgspec.Raw(msgspec.json.encode(config))
    return msgspec.json.encode(record)


def show_record(value: bytes, output: str) -> None:
    """Print one record, numbers and order untouched: a line, indented JSON, or a table of members."""
    if output == "jsonl":
        click.echo(msgspec.json.format(value, indent=-1))
    elif output == "json":
        click.echo(msgspec.json.format(value, indent=2))
    else:
        from streams.cli.drawing import console, table

        rows = [{"member": name, "value": member} for name, member in _members(msgspec.json.decode(value))]
        console().print(table(rows, ("member", "value"), lambda *_: None))


def host(hook: "Hook") -> str:
    """The host of the hook's URL, which unlike path and query holds no secret."""
    return urlsplit(hook.config.url).hostname or ""


def _members(found: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _members(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
