"""What one partition's owner knows: what ended before, and what may be committed with which log offset."""

from typing import Any

from streams.core.recent import RecentIds
from streams.kafka.ended import History
from streams.kafka.partition import Partition


def test_a_job_whose_outcome_is_on_the_log_is_not_begun_again() -> None:
    partition = Partition(0, history(committed=5, by_job_offset={6: 40}, log_end=41))
    assert partition.begin(5, 10)
    assert not partition.begin(6, 10)
    assert partition.commit() is None
    partition.finish(5, 10, log_offset=41)
    assert partition.commit() == (7, "42")


def test_a_commit_carries_a_log_offset_with_all_outcomes_of_uncommitted_jobs_behind_it() -> None:
    """So that a restart reads back the outcomes of every job that it will be given again."""
    partition = Partition(0, history(log_end=10))
    for offset in range(4):
        partition.begin(offset, 1)
    partition.finish(0, 1, log_offset=10)
    partition.finish(3, 1, log_offset=11)
    partition.finish(2, 1, log_offset=12)
    assert partition.commit() == (1, "10")
    partition.finish(1, 1, log_offset=13)
    assert partition.commit() == (4, "14")


def test_nothing_is_committed_twice_nor_past_an_unfinished_job() -> None:
    partition = Partition(0, history())
    partition.begin(0, 1)
    partition.begin(1, 1)
    partition.finish(1, 1, log_offset=0)
    assert partition.commit() is None
    partition.finish(0, 1, log_offset=1)
    assert partition.commit() == (2, "2")
    assert partition.commit() is None


def test_it_counts_the_bytes_it_holds() -> None:
    partition = Partition(0, history())
    partition.begin(0, 300)
    partition.begin(1, 200)
    partition.finish(0, 300)
    assert (partition.bytes, len(partition.offsets)) == (200, 1)


def test_ids_of_the_history_are_known() -> None:
    known = history()
    known.ids.add("msg_a")
    assert "msg_a" in Partition(0, known).recent


def history(**fields: Any) -> History:
    """What the log told."""
    return History(RecentIds(100), **fields)
