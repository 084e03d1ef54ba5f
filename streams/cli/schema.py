"""`hookline schema list|export|check`: the published schemas, written from the code's own types."""

from pathlib import Path
from typing import BinaryIO

import click
import orjson

from streams.cli import output as out
from streams.cli import schema_asyncapi, schema_check, schema_documents
from streams.core.errors import HooklineError, InvalidInput

ASYNCAPI = "asyncapi.json"


def files() -> dict[str, bytes]:
    """Every published file by its name, as bytes that depend on the code alone."""
    documents = schema_documents.documents()
    found = {f"{name}.schema.json": _text(document) for name, document in documents.items()}
    return dict(sorted((found | {ASYNCAPI: _text(schema_asyncapi.document())}).items()))


@click.group()
def command() -> None:
    """List, export or apply the JSON Schemas and the AsyncAPI document."""


@command.command("list")
@out.output_option
def list_(output: str) -> None:
    """List the published schemas: name, file, where such a record stands."""
    rows = [
        {
            "name": name,
            "file": f"{name}.schema.json",
            "title": document["title"],
            "description": document["description"],
        }
        for name, document in schema_documents.documents().items()
    ]
    rows.append(
        {"name": "asyncapi", "file": ASYNCAPI, "title": "AsyncAPI", "description": "Every topic, and the POST."}
    )
    out.show(rows, output, ("name", "file", "title"))


@command.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def export(directory: Path) -> None:
    """Write every schema and the AsyncAPI document into DIRECTORY, which is made if need be.

    The same version writes the same bytes; files of other names are left alone.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files().items():
            (directory / name).write_bytes(content)
            out.tell(f"wrote {directory / name}")
    except OSError as error:
        raise HooklineError(f"the schemas cannot be written to {directory}: {error.strerror}") from error


@command.command()
@click.argument("name", metavar="NAME")
@click.argument("file", type=click.File("rb"), default="-")
@out.output_option
@click.pass_context
def check(ctx: click.Context, name: str, file: BinaryIO, output: str) -> None:
    """Say whether Hookline would take the record of kind NAME in FILE (default: stdin): exit 0 if so, 4 if not.

    The JSON is the record's value; for `job` and `dead-letter`, its headers as an object of texts.
    """
    names = list(schema_documents.documents())
    if name not in names:
        raise InvalidInput(f"there is no schema {name!r}: the names are {', '.join(names)}")
    verdict = schema_check.verdict(name, file.read(), out.settings())
    row = {"schema": name, "valid": verdict.reason is None, "reason": verdict.reason, "detail": verdict.detail}
    out.show([row], output, row)
    ctx.exit(0 if verdict.reason is None else InvalidInput.exit_code)


def _text(document: schema_documents.Schema) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
