"""What one partition's owner knows: what ended before, and what may be committed with which log offset."""

from typing import Any

from streams.core.pending import Item
from streams.core.recent import RecentIds
from streams.core.records import Coordinates, Job
from streams.kafka.ended import History
from streams.kafka.partition import Partition
from streams.kafka.retries import Waiting


def test_a_job_whose_outcome_is_on_the_log_is_not_begun_again() -> None:
    partition = owned(committed=5, by_job_offset={6: 40}, log_end=41)
    begun = begin(partition, 5)
    assert not partition.begin(6, 10)
    assert partition.commit() is None
    end(partition, begun, log_offset=41)
    assert partition.commit() == (7, "42/3")


def test_a_commit_carries_a_log_offset_with_all_outcomes_of_uncommitted_jobs_behind_it() -> None:
    """So that a restart reads back the outcomes of every job that it will be given again."""
    partition = owned(log_end=10)
    items = [begin(partition, offset) for offset in range(4)]
    end(partition, items[0], log_offset=10)
    end(partition, items[3], log_offset=11)
    end(partition, items[2], log_offset=12)
    assert partition.commit() == (1, "10/3")
    end(partition, items[1], log_offset=13)
    assert partition.commit() == (4, "14/3")


def test_a_job_that_waits_lets_its_offset_be_committed_and_while_under_way_keeps_the_log_from_there_on() -> None:
    """Its outcome may become durable without its null, and is then found on the log."""
    partition = owned(log_end=10)
    waits, next_ = begin(partition, 0), begin(partition, 1)
    partition.finish(0, 1)
    partition.settled(waits)
    assert partition.commit() == (1, "10/3")
    partition.keep(waits)
    end(partition, next_, log_offset=15)
    partition.wrote(16)
    assert partition.commit() == (2, "10/3")
    partition.settled(waits)
    begun = begin(partition, 2)
    end(partition, begun, log_offset=17)
    assert partition.commit() == (3, "18/3")


def test_nothing_is_committed_twice_nor_past_an_unfinished_job() -> None:
    partition = owned()
    first, second = begin(partition, 0), begin(partition, 1)
    end(partition, second, log_offset=0)
    assert partition.commit() is None
    end(partition, first, log_offset=1)
    assert partition.commit() == (2, "2/3")
    assert partition.commit() is None


def test_it_counts_the_bytes_it_holds() -> None:
    partition = owned()
    partition.begin(0, 300)
    partition.begin(1, 200)
    partition.finish(0, 300)
    assert (partition.bytes, len(partition.offsets)) == (200, 1)


def test_ids_of_the_history_are_known() -> None:
    partition = owned()
    partition.recent.add("msg_a")
    assert partition.knows(job("msg_a"))
    assert not partition.knows(job("msg_b"))
    assert partition.knows(job("msg_b"))


def test_a_replay_is_known_by_its_run() -> None:
    partition = owned()
    assert not partition.knows(job("msg_a"))
    assert not partition.knows(job("msg_a", replay="r1"))
    assert partition.knows(job("msg_a", replay="r1"))
    assert not partition.knows(job("msg_a", replay="r2"))


def test_a_replay_of_a_delivery_that_is_not_finished_is_a_duplicate() -> None:
    partition = owned(items={"msg_a": item("msg_a", 3)})
    assert partition.knows(job("msg_a", replay="r1"))


def test_ordered_jobs_that_wait_but_are_not_committed_stand_in_line_when_their_offset_is_read_again() -> None:
    """Jobs before them may not have been read yet."""
    before, after = item("msg_a", 4, line=b"k"), item("msg_b", 7, line=b"k")
    partition = owned(items={"msg_a": before, "msg_b": after, "msg_c": item("msg_c", 8)}, committed=5)
    assert [found.id for found in partition.restored()] == ["msg_a", "msg_c"]
    assert partition.reached(6) == []
    assert partition.reached(7) == [after]
    assert partition.reached(8) == []


def owned(items: dict[str, Item] | None = None, **fields: Any) -> Partition:
    """A partition whose log told `fields` and whose retries are `items`."""
    return Partition(0, 3, History(RecentIds(100), **fields), Waiting(items=items or {}))


def item(delivery_id: str, offset: int, line: bytes | None = None) -> Item:
    """A job that waits."""
    return Item(id=delivery_id, hook_id="h", partition=0, offset=offset, since=0, place=1, line=line)


def begin(partition: Partition, offset: int) -> Item:
    """A new job at this offset."""
    partition.begin(offset, 1)
    begun = Item(id=f"msg_{offset}", hook_id="h", partition=0, offset=offset, since=0)
    partition.keep(begun)
    return begun


def end(partition: Partition, ended: Item, log_offset: int) -> None:
    """Its outcome lies there."""
    partition.wrote(log_offset)
    partition.finish(ended.offset, 1)
    partition.settled(ended)


def job(delivery_id: str, replay: str | None = None) -> Job:
    """A job."""
    at = Coordinates("hooks.deliveries", 0, 1)
    return Job(
        delivery_id=delivery_id, hook_id="h", tenant="t", event="e", event_id="i", event_at=0,
        body=b"{}", source=at, hook_version=(0, 0), at=at, replay=replay,
    )  # fmt: skip
