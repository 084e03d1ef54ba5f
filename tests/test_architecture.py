"""The shape of the code, kept by the code: rings, a pure core, nothing that opens at import, short functions.

Every rule is a function from one module's syntax tree to sentences about what breaks it. Each runs over all of
`streams`, and over a few lines written to break it, which proves that it can fail.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import Struct

ROOT = Path(__file__).parents[1]

RINGS = {
    "core": 0,
    "settings": 1,
    "telemetry": 1,
    "kafka": 2,
    "web": 2,
    "wiring": 3,
    "supervisor": 3,
    "cli": 4,
    "demo": 5,
    "__main__": 5,
}
"""A part of `streams` imports from itself and from lower rings; a new part has to be given a ring here."""

PURE = {
    *("base64", "binascii", "bisect", "collections", "datetime", "enum", "functools", "hashlib", "heapq", "hmac"),
    *("ipaddress", "itertools", "json", "math", "re", "string", "typing", "urllib.parse"),
    *("email.utils.parsedate_to_datetime", "msgspec", "orjson", "idna", "streams.core"),
    *("cryptography.exceptions", "cryptography.hazmat.primitives.ciphers.aead"),
}
"""What core may import: nothing here waits, tells the time, rolls dice, reads the environment or does I/O."""

IMPURE_METHODS = {"now", "today", "utcnow"}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "compile", "breakpoint", "__import__", "hash", "id"}
"""`hash` and `id` differ from process to process, and core gives everybody the same answer."""

HOMES = {"aiokafka": "kafka", "faust": "kafka", "mode": "kafka", "aiohttp": "web"}
"""The one part that may import each client library."""

CLIENTS = {
    *("aiohttp", "aiokafka", "asyncio", "concurrent", "faust", "multiprocessing", "prometheus_client", "rich"),
    *("socket", "sqlite3", "ssl", "subprocess", "threading", "urllib.request", "uvloop"),
    *("streams.telemetry.Metrics", "streams.settings.load", "streams.kafka.clients", "open"),
}
"""What must not be called while a module is imported, because it opens, registers, starts or reads something."""

VALUES = {"aiokafka.protocol.types", "aiohttp.ClientTimeout", "aiohttp.web.AppKey", "rich.theme.Theme"}
"""Of these libraries, what only makes a value."""

LINES_MAX = 34
"""Lines of code in a function, without docstring, comments and blank lines."""

VAGUE = {"base", "common", "helper", "helpers", "misc", "shared", "stuff", "tools", "util", "utils"}
"""Names of files that do not say what is in them."""


class Module(Struct, frozen=True):
    """A module's dotted name and its text."""

    name: str
    text: str

    @property
    def part(self) -> str:
        """The part of `streams` that it belongs to."""
        return self.name.split(".")[1] if "." in self.name else "__init__"

    def tree(self) -> ast.Module:
        return ast.parse(self.text)


Rule = Callable[[Module], Iterator[str]]


def modules() -> list[Module]:
    found = []
    for path in sorted((ROOT / "streams").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Module(name, path.read_text("utf-8")))
    return found


def imported(module: Module) -> set[str]:
    """Dotted names of all that a module imports, wherever in it: `a.b.c` for `from a.b import c`."""
    names = set()
    for node in ast.walk(module.tree()):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {"." * node.level + f"{node.module or ''}.{alias.name}" for alias in node.names}
    return names


def within(name: str, parents: set[str]) -> bool:
    """Whether a dotted name is one of the parents or below one."""
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


def ring_offences(module: Module) -> Iterator[str]:
    if module.part not in {*RINGS, "__init__"}:
        yield f"{module.name}: has no ring; give `{module.part}` one in RINGS"
        return
    for name in imported(module):
        if name.startswith("."):
            yield f"{module.name}: imports {name}; write the whole name"
        elif within(name, {"streams"}) and not allowed_from(module.part, name.split(".")[1]):
            yield f"{module.name}: imports {name}, which is not in a lower ring"


def allowed_from(part: str, other: str) -> bool:
    return part == other or RINGS.get(other, 9) < RINGS.get(part, -1)


def purity_offences(module: Module) -> Iterator[str]:
    if module.part != "core":
        return
    for name in imported(module):
        if not within(name, PURE):
            yield f"{module.name}: imports {name}, which is not known to be pure"
    for node in ast.walk(module.tree()):
        if isinstance(node, ast.Attribute) and node.attr in IMPURE_METHODS:
            yield f"{module.name}:{node.lineno}: tells the time with .{node.attr}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"{module.name}:{node.lineno}: calls {node.func.id}()"
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield f"{module.name}:{node.lineno}: waits"


def home_offences(module: Module) -> Iterator[str]:
    for name in imported(module):
        home = HOMES.get(name.split(".")[0])
        if home not in (None, module.part):
            yield f"{module.name}: imports {name}, which belongs in {home}"


def import_time_offences(module: Module) -> Iterator[str]:
    tree = module.tree()
    origins = bound_names(tree)
    for call in calls_at_import(tree):
        name = dotted(call.func, origins)
        if within(name, CLIENTS) and not within(name, VALUES):
            yield f"{module.name}:{call.lineno}: calls {name} while it is imported"


def bound_names(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for; `import a.b` binds `a`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
    return names


def dotted(function: ast.expr, origins: dict[str, str]) -> str:
    if isinstance(function, ast.Name):
        return origins.get(function.id, function.id)
    if isinstance(function, ast.Attribute):
        return f"{dotted(function.value, origins)}.{function.attr}"
    return ""


def calls_at_import(node: ast.AST) -> Iterator[ast.Call]:
    """Calls that run when the module is imported: class bodies, decorators and defaults too, function bodies not."""
    if isinstance(node, ast.Call):
        yield node
    for field, value in ast.iter_fields(node):
        is_body = field == "body" and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not is_body:
                yield from calls_at_import(child)


def docstring_offences(module: Module) -> Iterator[str]:
    if not (ast.get_docstring(module.tree()) or "").strip():
        yield f"{module.name}: has no docstring that says what it decides"


def name_offences(module: Module) -> Iterator[str]:
    last = module.name.split(".")[-1]
    if last in VAGUE:
        yield f"{module.name}: `{last}` does not say what is in it"


def length_offences(module: Module) -> Iterator[str]:
    lines = module.text.splitlines()
    for node in ast.walk(module.tree()):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            count = code_lines(node, lines)
            if count > LINES_MAX:
                yield f"{module.name}:{node.lineno}: {node.name} has {count} lines of code, {LINES_MAX} are the most"


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> int:
    numbers = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(inner):
            numbers -= set(range(inner.body[0].lineno, (inner.body[0].end_lineno or 0) + 1))
    texts = (lines[number - 1].strip() for number in numbers)
    return sum(bool(text) and not text.startswith("#") for text in texts)


RULES: tuple[Rule, ...] = (
    ring_offences,
    purity_offences,
    home_offences,
    import_time_offences,
    docstring_offences,
    name_offences,
    length_offences,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_module_breaks_the_rule(rule: Rule) -> None:
    assert [offence for module in modules() for offence in rule(module)] == []


def test_every_module_is_looked_at() -> None:
    names = {module.name for module in modules()}
    assert {"streams", "streams.core.events", "streams.kafka", "streams.web.guard", "streams.cli"} <= names
    assert {module.part for module in modules()} >= {"core", "kafka", "web", "cli", "settings", "telemetry", "wiring"}


def test_nothing_that_core_may_import_has_a_clock_or_a_socket_inside() -> None:
    assert not within("email.utils.formatdate", PURE)
    assert not within("urllib.request", PURE)
    for name in ("asyncio", "logging", "os", "random", "secrets", "socket", "time", "uuid", "pathlib", "sys"):
        assert not within(name, PURE)


@pytest.mark.parametrize(
    ("rule", "name", "text", "offence"),
    [
        (ring_offences, "streams.core.x", "from streams.settings import Settings", "imports streams.settings.Settings"),
        (ring_offences, "streams.core.x", "import streams.kafka.topics", "imports streams.kafka.topics"),
        (ring_offences, "streams.kafka.x", "from streams.web import guard", "imports streams.web.guard"),
        (ring_offences, "streams.kafka.x", "from streams import web", "imports streams.web"),
        (ring_offences, "streams.web.x", "from streams.kafka.topics import LOG", "imports streams.kafka.topics.LOG"),
        (ring_offences, "streams.web.x", "def f():\n    from streams.wiring import run", "imports streams.wiring.run"),
        (ring_offences, "streams.settings", "from streams.telemetry import log", "imports streams.telemetry.log"),
        (ring_offences, "streams.telemetry", "from streams import settings", "imports streams.settings"),
        (ring_offences, "streams.wiring", "from streams.cli import output", "imports streams.cli.output"),
        (ring_offences, "streams.cli.x", "from streams.demo import screen", "imports streams.demo.screen"),
        (ring_offences, "streams.core.x", "from . import events", "imports .."),
        (ring_offences, "streams.core", "from streams.cli import main", "imports streams.cli.main"),
        (ring_offences, "streams.newpart.x", "", "has no ring"),
        (purity_offences, "streams.core.x", "import time", "imports time"),
        (purity_offences, "streams.core.x", "import os.path", "imports os.path"),
        (purity_offences, "streams.core.x", "from random import random", "imports random.random"),
        (purity_offences, "streams.core.x", "def f():\n    import asyncio", "imports asyncio"),
        (purity_offences, "streams.core.x", "from logging import getLogger", "imports logging.getLogger"),
        (purity_offences, "streams.core.x", "import socket as s", "imports socket"),
        (purity_offences, "streams.core.x", "import aiohttp", "imports aiohttp"),
        (purity_offences, "streams.core.x", "from email.utils import formatdate", "imports email.utils.formatdate"),
        (purity_offences, "streams.core.x", "from urllib import request", "imports urllib.request"),
        (purity_offences, "streams.core.x", "from datetime import datetime\nx = datetime.now()", ":2: tells the time"),
        (purity_offences, "streams.core.x", "import datetime\ny = datetime.date.today", ":2: tells the time"),
        (purity_offences, "streams.core.x", "def f(p):\n    return open(p)", ":2: calls open()"),
        (purity_offences, "streams.core.x", "x = __import__('os')", ":1: calls __import__()"),
        (purity_offences, "streams.core.x", "x = hash('a')", ":1: calls hash()"),
        (purity_offences, "streams.core.x", "async def f(): pass", ":1: waits"),
        (home_offences, "streams.kafka.x", "from aiohttp import web", "belongs in web"),
        (home_offences, "streams.web.x", "import faust", "belongs in kafka"),
        (home_offences, "streams.cli.x", "from aiokafka.errors import KafkaError", "belongs in kafka"),
        (import_time_offences, "streams.kafka.x", "import faust\napp = faust.App('x')", ":2: calls faust.App"),
        (
            import_time_offences,
            "streams.kafka.x",
            "from aiokafka import AIOKafkaProducer as P\np = P()",
            ":2: calls aiok",
        ),
        (
            import_time_offences,
            "streams.web.x",
            "import aiohttp.web\nx = aiohttp.web.Application()",
            ":2: calls aiohttp",
        ),
        (
            import_time_offences,
            "streams.x",
            "from prometheus_client import Counter\nC = Counter('a')",
            ":2: calls prom",
        ),
        (
            import_time_offences,
            "streams.x",
            "from streams.telemetry import Metrics\nM = Metrics()",
            ":2: calls streams",
        ),
        (import_time_offences, "streams.x", "import asyncio\nclass A:\n    q = asyncio.Queue()", ":3: calls asyncio.Q"),
        (import_time_offences, "streams.x", "import socket as s\ndef f(x=s.socket()): pass", ":2: calls socket.socket"),
        (
            import_time_offences,
            "streams.x",
            "import faust\n@faust.App('x').agent()\ndef f(): pass",
            ":2: calls faust.App",
        ),
        (import_time_offences, "streams.x", "X = [open(n) for n in 'ab']", ":1: calls open"),
        (docstring_offences, "streams.x", "import re", "has no docstring"),
        (docstring_offences, "streams.x", '" "', "has no docstring"),
        (docstring_offences, "streams.x", "", "has no docstring"),
        (name_offences, "streams.kafka.utils", "", "`utils` does not say"),
        (name_offences, "streams.helpers.x.common", "", "`common` does not say"),
        (length_offences, "streams.x", "def f():\n" + "    a = 1\n" * 34, "f has 35 lines of code"),
        (
            length_offences,
            "streams.x",
            "class A:\n  async def g(self):\n" + "    a = 1\n" * 34,
            "g has 35 lines of code",
        ),
    ],
)
def test_each_rule_can_fail(rule: Rule, name: str, text: str, offence: str) -> None:
    assert any(offence in found for found in rule(Module(name, text)))


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [
        (ring_offences, "streams.cli.x", "from streams.kafka import topics\nfrom streams.wiring import run"),
        (ring_offences, "streams.kafka.x", "from streams.kafka.topics import LOG\nfrom streams import settings"),
        (purity_offences, "streams.core.x", "from email.utils import parsedate_to_datetime\nimport msgspec.json"),
        (purity_offences, "streams.kafka.x", "import time\nasync def f(): pass"),
        (import_time_offences, "streams.web.x", "import aiohttp\nT = aiohttp.ClientTimeout(total=1)"),
        (import_time_offences, "streams.kafka.x", "import faust\ndef app():\n    return faust.App('x')"),
        (import_time_offences, "streams.kafka.x", "import asyncio\nmake = lambda: asyncio.Queue()"),
        (length_offences, "streams.x", "def f():\n    '''A\n\n    B'''\n\n    # why\n" + "    a = 1\n" * 33),
    ],
)
def test_what_the_rules_let_through(rule: Rule, name: str, text: str) -> None:
    assert list(rule(Module(name, text))) == []
