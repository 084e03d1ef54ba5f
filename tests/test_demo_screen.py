"""What the demo counts, and the picture it makes of it, without a broker."""

import io
import itertools
import os
import re
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from streams.core import ids, stories
from streams.core.catalogue import EVENTS
from streams.core.records import Attempt, Outcome, Report
from streams.demo.playing import EVENTS_PER_S
from streams.demo.screen import HEADINGS, Screen
from streams.demo.tally import Sight, Tally
from tests.core.building import NOW, outcome
from tests.core.test_stories import category
from tests.foreground import on_a_terminal

ROOT = Path(__file__).parents[1]
HOOKS = {"demo0" * 4 + "a": "healthy", "demo1" * 4 + "b": "fails at times", "demo2" * 4 + "c": "always fails"}
REPORT = msgspec.json.decode((Path(__file__).parent / "golden/report.json").read_bytes(), type=Report)
LONGEST = max(EVENTS, key=len)


def ended(event_id: str, hook: str, attempts: int = 1, status: str = "delivered") -> Outcome:
    tried = [Attempt(at=NOW, ms=3, status=200)] * attempts
    return replace(outcome(attempts=tried), id=ids.delivery_id(event_id, hook), hook_id=hook, status=status)


def filled() -> Tally:
    """A tally of a while: more lines than there is room for, large counts, the longest names."""
    tally = Tally(HOOKS)
    tally.retries = 123_456
    for number in range(20):
        tally.published(LONGEST, f"e{number}")
        word = ("delivered", "exhausted", f"retry {number % 3 + 1}")[number % 3]
        tally.lines.append(Sight("17:14:43", word, LONGEST, "always fails", "in 1.4 s, after 500"))
    for hook, name in HOOKS.items():
        tally.reports[hook] = replace(REPORT, hook_id=hook, name=name, request_count=123_456, retries=123_456)
    return tally


def drawn(tally: Tally, columns: int, rows: int = 40) -> list[str]:
    """The lines of the picture on a terminal of that size."""
    console = Console(file=io.StringIO(), width=columns, height=rows, force_terminal=True, color_system=None)
    screen = Screen(tally, console)
    screen.phase = "running for {} s; Ctrl-C ends it"
    screen.hints = ("Look closer, in another terminal:", "  export A=b")
    with console.capture() as capture:
        console.print(screen.view())
    return capture.get().splitlines()


@pytest.mark.parametrize("columns", [80, 110, 160])
def test_the_picture_fits_every_common_width_with_nothing_wrapped_or_cut(columns: int) -> None:
    lines = drawn(filled(), columns)
    assert max(map(len, lines)) <= columns
    assert not [line for line in lines if "…" in line]
    assert [line.split()[0] for line in lines[3:7]] == ["hook", "healthy", "fails", "always"]
    shown = HEADINGS if columns > 100 else HEADINGS[:-1]
    assert lines[3].split() == " ".join(shown).split()
    assert sum(LONGEST in line for line in lines) == 18


def test_numbers_stand_under_the_ends_of_their_headings() -> None:
    heading, *rows = drawn(filled(), 110)[3:7]
    for name in ("success", "requests", "retries", "p50", "p99"):
        end = heading.index(name) + len(name)
        assert all(row[end - 1] != " " and row[end : end + 1] in ("", " ") for row in rows), name


@pytest.mark.parametrize("rows", [16, 24, 30])
def test_the_picture_is_no_higher_than_the_terminal(rows: int) -> None:
    assert len(drawn(filled(), 80, rows)) < rows


def test_before_the_first_delivery_it_says_what_it_waits_for() -> None:
    lines = drawn(Tally(HOOKS), 80)
    assert lines[0] == "Hookline demo  running for 0 s; Ctrl-C ends it"
    assert "waiting for the first delivery" in lines
    assert lines[1] == "events 0  delivered 0  retries 0  exhausted 0  under way 0"
    assert lines[4].split() == ["healthy", *"-" * 6]


PICTURE = """
from streams.demo.screen import Screen
from streams.demo.tally import Sight, Tally
screen = Screen(Tally({"id": "healthy"}))
with screen.live():
    screen.tell(Sight("17:14:43", "delivered", "User.Created", "healthy", "1 attempt, 3 ms"))
    screen.say("words for people")
"""


async def picture(directory: Path, **environ: str) -> str:
    """What a terminal gets of a short demo."""
    (directory / "picture.py").write_text(PICTURE)
    bare = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    path = f"{directory}:{ROOT}"
    async with on_a_terminal("picture", environ=bare | {"PYTHONPATH": path, "TERM": "xterm"} | environ) as (end, there):
        assert await end.ends() == 0
        await there.shows("17:14:43|delivered[^\\n]*healthy")
        return "\n".join(end.words) + there.printed


async def test_on_a_terminal_it_is_drawn_in_colours_beside_words(tmp_path: Path) -> None:
    shown = await picture(tmp_path)
    assert "\x1b[32mdelivered" in shown
    assert "\x1b[?25l" in shown, "the cursor is hidden while the picture is redrawn"
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "and shown again"
    assert "words for people" in shown


async def test_no_color_is_obeyed(tmp_path: Path) -> None:
    shown = await picture(tmp_path, NO_COLOR="1")
    assert "delivered" in shown
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)


async def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(tmp_path: Path) -> None:
    shown = await picture(tmp_path, TERM="dumb")
    assert "\x1b" not in shown
    assert "17:14:43  delivered  User.Created                     healthy       1 attempt, 3 ms" in shown
    assert "words for people" in shown


def test_all_seven_categories_come_within_five_seconds_of_the_demo() -> None:
    tally = Tally(HOOKS)
    for number, (event, _, _) in enumerate(itertools.islice(stories.stories(NOW, lambda: NOW), 5 * EVENTS_PER_S)):
        tally.published(event, f"e{number}")
    assert len({category(event) for event in tally.events}) == 7


def test_what_has_no_outcome_and_what_nobody_expected_is_unexplained() -> None:
    tally = Tally(HOOKS)
    first, second, third = HOOKS
    tally.published("User.Created", "e1")
    assert tally.unexplained == 3
    tally.outcome(ended("e1", first))
    tally.outcome(ended("e1", second, attempts=3))
    assert tally.unexplained == 1
    tally.outcome(ended("e1", third, attempts=4, status="exhausted"))
    assert tally.unexplained == 0
    tally.outcome(ended("e2", first))
    assert tally.unexplained == 1


def test_the_summary_counts_an_outcome_once_and_every_attempt_but_the_first_as_a_retry() -> None:
    tally = Tally(HOOKS)
    tally.published("User.Created", "e1")
    for _ in range(2):
        for hook, attempts, status in zip(HOOKS, (1, 3, 4), ("delivered", "delivered", "exhausted"), strict=True):
            tally.outcome(ended("e1", hook, attempts, status))
    assert tally.summary() == {
        "events": 1, "deliveries": 3, "delivered": 2, "retries": 5, "exhausted": 1, "waiting": 0, "unexplained": 0
    }  # fmt: skip


def test_an_outcome_may_be_seen_before_its_event_is_counted() -> None:
    tally = Tally(HOOKS)
    for hook in HOOKS:
        tally.outcome(ended("e1", hook))
    assert tally.unexplained == 3
    tally.published("User.Created", "e1")
    assert tally.unexplained == 0


def test_the_reports_are_waited_for_until_they_count_every_outcome() -> None:
    tally = Tally({"a" * 21: "healthy"})
    assert tally.reported
    tally.outcome(ended("e1", "a" * 21))
    assert not tally.reported
    tally.reports["a" * 21] = replace(REPORT, request_count=1)
    assert tally.reported
