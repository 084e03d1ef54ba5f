"""The delivery ids seen lately."""

from streams.core.recent import RecentIds


def test_an_id_is_new_once() -> None:
    recent = RecentIds(3)
    assert [recent.add(text) for text in ("a", "b", "a")] == [True, True, False]


def test_the_oldest_is_forgotten_when_there_are_more_than_the_limit() -> None:
    recent = RecentIds(2)
    for text in ("a", "b", "c"):
        recent.add(text)
    assert ("a" in recent, "b" in recent, "c" in recent, len(recent)) == (False, True, True, 2)
