"""`hookline doctor`: one pass over all that an operator would ask when something is wrong."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from streams.cli.findings import Finding, problem, skipped
from streams.cli.output import output_option, run, settings, show
from streams.cli.streaming import printer
from streams.core.errors import BrokerUnreachable, HooklineError, InvalidInput, TopicsUnfit

if TYPE_CHECKING:
    from streams.settings import Settings

COLUMNS = {"result": 7, "check": 15, "seen": 1}

PATIENCE_S = 40
"""Longest wait for one answer; a group whose coordinator is being elected takes up to 30 s."""

Check = Callable[["Settings"], Finding]
Question = Callable[["Settings"], Awaitable[Finding]]


@click.command()
@output_option
def command(output: str) -> None:
    """Look at everything one would ask about when something is wrong, and say what to do next.

    Reads only: nothing is written, sent to a hook, or changed. Each line is ok, a warning (it works, and you should
    know), a problem (it does not), or skipped (it does not matter here, or what it needs is missing).

    \b
    settings            which are not the defaults, and where they come from
    networks            what hooks may reach besides public https
    master keys         are the secrets of hooks sealed
    kafka security      TLS and passwords on the way to the brokers
    tls authorities, names, data directory, local broker, versions
                        what this machine lacks, if anything
    broker, topics      do they answer, do they fit
    router, sender, health
                        who plays the role, and how many records wait for it
    hooks, reports, dead letters
                        what was refused, what fails, what nobody could read

    Exit code 0 without problems, 1 with some, 3 when no broker answers.

    \b
    Example: what is wrong, for a script
      hookline doctor -o jsonl | jq -r 'select(.result == "problem") | .check + ": " + .seen'
    """
    sys.exit(run(_examined(output)))


def checks() -> Mapping[str, Check]:
    """What is looked at on this machine, in order. A new check goes here, and its line into the help above."""
    from streams.cli import doctor_here as here

    return {
        "settings": here.changed_settings,
        "networks": here.networks,
        "master keys": here.master_keys,
        "kafka security": here.kafka_security,
        "tls authorities": here.tls_authorities,
        "names": here.names,
        "data directory": here.data_directory,
        "local broker": here.local_broker,
        "versions": here.versions,
    }


def questions() -> Mapping[str, Question]:
    """What is asked of the brokers, in order; the first says whether there are any to ask."""
    from streams.cli import doctor_cluster as cluster

    return {
        "broker": cluster.broker,
        "topics": cluster.fit,
        **cluster.ROLES,
        "hooks": cluster.hooks,
        "reports": cluster.health,
        "dead letters": cluster.dead_letters,
    }


async def _examined(output: str) -> int:
    """Print the findings as they come; the exit code."""
    results: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    printed = rows.append if output == "json" else printer(output, COLUMNS)
    async for check, finding in _findings():
        results[check] = finding.result
        row = {"check": check, "result": finding.result, "seen": finding.seen, "advice": finding.advice}
        if output == "table" and finding.advice:
            row["seen"] = f"{finding.seen}: {finding.advice}"
        printed(row)
    if output == "json":
        show(rows, output, COLUMNS)
    if results["broker"] == "problem":
        return BrokerUnreachable.exit_code
    return HooklineError.exit_code if "problem" in results.values() else 0


async def _findings() -> AsyncIterator[tuple[str, Finding]]:
    """Every check by name, always all of them; one that cannot be made is skipped for a reason."""
    try:
        ours = settings()
    except InvalidInput as error:
        yield "settings", problem(str(error).removeprefix("settings: ").replace("\n", ";"))
        for check in [*list(checks())[1:], *questions()]:
            yield check, skipped("needs settings that can be")
        return
    for check, look in checks().items():
        yield check, look(ours)
    missing = ""
    for check, ask in questions().items():
        finding = skipped(missing) if missing else await _answer(ours, ask)
        yield check, finding
        if check == "broker" and finding.result != "ok":
            missing = "needs a broker that answers"


async def _answer(ours: "Settings", ask: Question) -> Finding:
    """What the brokers said; that they refused or gave no answer is a finding too."""
    from streams.kafka.answers import answered

    try:
        async with asyncio.timeout(PATIENCE_S):
            return await answered(ours, ask(ours))
    except (InvalidInput, TopicsUnfit) as error:  # unreadable certificates, missing topics: each has a line of its own
        return skipped(str(error))
    except (HooklineError, TimeoutError) as error:
        return problem(str(error) or f"no answer within {PATIENCE_S} s")
