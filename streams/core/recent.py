"""The delivery ids seen lately: a bounded memory that lets a duplicate be dropped."""


class RecentIds:
    """At most `limit` ids, the oldest forgotten first; so a duplicate is known while it is among the last `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: dict[str, None] = {}

    def add(self, delivery_id: str) -> bool:
        """Remember an id; True when it was not known."""
        if delivery_id in self._ids:
            return False
        self._ids[delivery_id] = None
        if len(self._ids) > self._limit:
            del self._ids[next(iter(self._ids))]
        return True

    def __contains__(self, delivery_id: str) -> bool:
        return delivery_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)
