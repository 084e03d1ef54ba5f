"""Times as Logto writes them."""

import datetime

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def iso(at_ms: int) -> str:
    """ISO 8601 with milliseconds and Z, of Unix milliseconds between 0 and the year 9999."""
    moment = _EPOCH + datetime.timedelta(milliseconds=at_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
