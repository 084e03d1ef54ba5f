"""`hookline listen`: a receiver that shows what arrives, verifies it, and can fail or be slow on purpose."""

import asyncio
import math
import time
from pathlib import Path

import click
import msgspec

from streams.cli.output import line, run, tell
from streams.cli.signature import key_file_option, signing_keys
from streams.core import signing
from streams.core.errors import UNREADABLE, InvalidInput
from streams.web.receiver import Behaviour, Received, Receiver, Reply, misbehaving

SHOWN_CHARS_MAX = 60
"""Longest text of a stranger's shown in a table; ids of Hookline have 28."""


class _Body(msgspec.Struct):
    event: str = ""


def _times(text: str) -> float:
    """`2` or `always`; raises ValueError, which click turns into a usage error."""
    return math.inf if text == "always" else int(text)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=9000, show_default=True, help="0 takes any free port.")
@key_file_option
@click.option("--fail", type=_times, metavar="N|always", default="0", help="Fail the first N attempts of every id.")
@click.option(
    "--fail-status", type=click.IntRange(200, 599), default=500, show_default=True, help="What --fail answers."
)
@click.option("--delay", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="Answer this late.")
@click.option("-o", "--output", type=click.Choice(["table", "jsonl"]), default="table", show_default=True)
def command(
    host: str, port: int, signing_key_file: Path | None, fail: float, fail_status: int, delay: float, output: str
) -> None:
    """Receive webhooks until Ctrl-C: one line for each request, with the verdict on its signatures."""
    keys = signing_keys(signing_key_file)
    shown = _shown(misbehaving(fail, fail_status, delay), keys, output)
    run(_listen(Receiver(shown, host, port), keys))


async def _listen(receiver: Receiver, keys: list[str]) -> None:
    try:
        await receiver.start()
    except OSError as error:
        raise InvalidInput(f"cannot listen there: {error.strerror}; choose another --port or --host") from error
    try:
        tell(f"listening on {receiver.url}" + ("" if keys else "; signatures are not verified without a key"))
        await asyncio.Event().wait()
    finally:
        await receiver.stop()


def _shown(behave: Behaviour, keys: list[str], output: str) -> Behaviour:
    """The same behaviour, with a line printed for every answer."""

    async def told(request: Received) -> Reply:
        reply = await behave(request)
        row = describe(request, reply.status, keys)
        if output == "jsonl":
            line(row)
        else:
            click.echo(
                "{event:<30} {id:<30} try {attempt:<3} logto {logto:<9} standard {standard:<9} {status}".format(
                    **{name: _printable(value) for name, value in row.items()}
                )
            )
        return reply

    return told


def describe(request: Received, status: int, keys: list[str]) -> dict[str, str | int]:
    """What is told of a request: its event, id and attempt, the verdict on each signature, the status answered."""
    logto = signing.verify_logto(keys, request.header(signing.LOGTO_SIGNATURE), request.body).word
    standard = signing.verify_standard(
        keys,
        request.header(signing.WEBHOOK_ID),
        request.header(signing.WEBHOOK_TIMESTAMP),
        request.header(signing.WEBHOOK_SIGNATURE),
        request.body,
        time.time(),
    ).word
    return {
        "event": _event(request.body),
        "id": request.header(signing.WEBHOOK_ID) or "",
        "attempt": request.attempt,
        "logto": logto if keys else "unchecked",
        "standard": standard if keys else "unchecked",
        "status": status,
        "method": request.method,
        "path": request.path,
        "bytes": len(request.body),
    }


def _event(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Body).event
    except UNREADABLE:
        return ""


def _printable(value: str | int) -> str:
    """A stranger's text, cut short and without what a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in str(value)[:SHOWN_CHARS_MAX]) or "-"
