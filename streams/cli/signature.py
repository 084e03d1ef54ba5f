"""`hookline signature sign|verify`: the headers for a body, or the verdict on what was received.

A signing key comes from a file or from HOOKLINE_SIGNING_KEY, never from the command line, where every user of the
machine could read it.
"""

import time
from pathlib import Path
from typing import BinaryIO

import click
import orjson

from streams.cli.output import tell
from streams.core import signing
from streams.core.errors import InvalidInput

KEY_VARIABLE = "HOOKLINE_SIGNING_KEY"

key_file_option = click.option(
    "--signing-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"File with the signing key; several during a rotation, one a line  [else {KEY_VARIABLE}]",
)


def signing_keys(path: Path | None) -> list[str]:
    """The keys in a file, else the one in the environment; none when neither is given. Raises InvalidInput."""
    if path is None:
        environ, _ = click.get_current_context().obj
        texts = [environ.get(KEY_VARIABLE, "")]
    else:
        try:
            texts = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"the signing key cannot be read from {path}: {error}") from error
    return [signing.key_from(text) for text in texts if text.strip()]


@click.group()
def command() -> None:
    """Sign a body as Hookline does, or verify what you received."""


@command.command()
@click.argument("body", type=click.File("rb"), default="-")
@key_file_option
@click.option("--id", "message_id", help="The webhook-id; without it only Logto's signature is made.")
@click.option("--timestamp", type=int, help="Unix seconds of the attempt.", show_default="now")
@click.option("-o", "--output", type=click.Choice(["headers", "json"]), default="headers", show_default=True)
def sign(
    body: BinaryIO, signing_key_file: Path | None, message_id: str | None, timestamp: int | None, output: str
) -> None:
    """Print the signature headers of BODY (a file, or - for stdin), ready for `curl -H @-`."""
    keys, text = _wanted(signing_key_file), body.read()
    headers = {signing.LOGTO_SIGNATURE: signing.logto_signature(keys[0], text)}
    if message_id:
        at = int(time.time()) if timestamp is None else timestamp
        headers[signing.WEBHOOK_ID] = message_id
        headers[signing.WEBHOOK_TIMESTAMP] = str(at)
        headers[signing.WEBHOOK_SIGNATURE] = signing.standard_signature(keys, message_id, at, text)
    if output == "json":
        click.echo(orjson.dumps(headers))
    else:
        click.echo("\n".join(f"{name}: {value}" for name, value in headers.items()))


@command.command()
@click.argument("body", type=click.File("rb"), default="-")
@key_file_option
@click.option("--signature", required=True, help="Value of logto-signature-sha-256 or webhook-signature.")
@click.option("--id", "message_id", help="Value of webhook-id, for webhook-signature.")
@click.option("--timestamp", help="Value of webhook-timestamp, for webhook-signature.")
@click.option("--now", type=float, help="Judge the age as of this Unix time.", show_default="now")
def verify(
    body: BinaryIO,
    signing_key_file: Path | None,
    signature: str,
    message_id: str | None,
    timestamp: str | None,
    now: float | None,
) -> None:
    """Say whether SIGNATURE belongs to BODY (a file, or - for stdin): exit 0 when it does, 4 when not."""
    keys, text = _wanted(signing_key_file), body.read()
    if "," in signature or message_id or timestamp:
        now_s = time.time() if now is None else now
        verdict = signing.verify_standard(keys, message_id, timestamp, signature, text, now_s)
    else:
        verdict = signing.verify_logto(keys, signature, text)
    if verdict.word != "valid":
        raise InvalidInput(f"{verdict.word}: {verdict.sentence}")
    tell(f"{verdict.word}: {verdict.sentence}")


def _wanted(path: Path | None) -> list[str]:
    keys = signing_keys(path)
    if not keys:
        raise InvalidInput(f"there is no signing key: name a file with --signing-key-file, or set {KEY_VARIABLE}")
    return keys
