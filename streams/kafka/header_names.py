"""Header names that are not UTF-8, which Kafka's brokers store and aiokafka cannot read.

Kafka's protocol calls a header's name a string, yet no broker looks into it. aiokafka 0.14.0 raises UnicodeDecodeError
from the midst of a fetch, and again at every later fetch, so one such record would hold up its partition for
ever, in every role and for whoever may write to any of our topics. `tolerate` puts a reader of our own in place of
aiokafka's: the same compiled parser does the work, and the rest of a batch in which it fails is read by aiokafka's
parser in Python, where such names are written with backslashes (`x-\\xff`). That is text which goes out again as it is,
and which is no name of ours. The names replaced here are not public in aiokafka, hence the exact pin.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy


def tolerate() -> None:
    """Let every consumer of this process, Faust's too, read such records; before the first is made, once or often."""
    found: Any = fetcher
    found.MemoryRecords = _Records


class _Records(_MemoryRecordsPy):  # type: ignore[misc]  # it is declared final
    """The batches of one fetch of one partition."""

    def next_batch(self, *_: Any) -> Any:
        data = self._next_slice
        batch = super().next_batch()
        return _Batch(batch, data) if isinstance(batch, DefaultRecordBatch) else batch


class _Batch:
    """A batch as the compiled parser has it, whose records can all be read."""

    def __init__(self, strict: Any, data: Any) -> None:
        self._strict = strict
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strict, name)

    def __next__(self) -> Any:
        return next(self._strict)  # how the fetcher asks for the one record of a control batch

    def __iter__(self) -> Iterator[Any]:
        count = 0
        try:
            for record in self._strict:
                yield record
                count += 1
        except (UnicodeDecodeError, CorruptRecordException):  # the second is what aiokafka without extensions raises
            yield from islice(_LenientBatch(self._data), count, None)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # it is declared final
    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _LenientText(self._buffer)


class _LenientText(bytearray):
    """The bytes of the records; of them only header names are decoded."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _LenientText(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)
