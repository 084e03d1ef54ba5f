"""Every door, by name."""

from tests.fuzz import edge_doors, http_door, kafka_doors
from tests.fuzz.door import Door

DOORS: dict[str, Door] = {door.name: door for door in (*kafka_doors.DOORS, *edge_doors.DOORS, http_door.DOOR)}


def close() -> None:
    """Leave nothing open: the file that settings are read from, the receiver on loopback."""
    edge_doors.close()
    http_door.close()
