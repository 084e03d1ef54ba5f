"""A point in time as people write it on the command line."""

import datetime
import re
import time
from typing import Any

import click

from streams.cli.request_rows import UNIT_MS
from streams.core.events import LAST_MS


class Moment(click.ParamType):
    """`2h` and `3d` ago, or ISO 8601, as Unix milliseconds; UTC where no zone is named."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The milliseconds; a usage error for anything else."""
        ago = re.fullmatch(r"([0-9]{1,6})([smhd])", str(value))
        if ago:
            return max(time.time_ns() // 1_000_000 - int(ago[1]) * UNIT_MS[ago[2]], 0)
        try:
            found = datetime.datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time: write 2h or 3d (ago), or 2026-11-22T08:00:00Z", param, ctx)
        zoned = found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
        return min(max(round(zoned.timestamp() * 1000), 0), LAST_MS)
