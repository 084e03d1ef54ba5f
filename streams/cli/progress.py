"""How far bulk work has come: a bar on stderr, for a person who waits and for nobody else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streams.settings import Settings


@contextmanager
def progress(count: int, few: int, settings: Settings) -> Iterator[Callable[[int], None]]:
    """Yields what is called with how many more are done; shows nothing for `few`, in a pipe, or when quiet."""
    if count <= few or settings.log_level == "error" or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=count)
        yield lambda done: bar.advance(task, done)
