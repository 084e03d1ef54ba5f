"""A header name that is not UTF-8 holds nothing up: its record is read, under a name that is text, then the next."""

import struct
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.consumer import fetcher
from aiokafka.errors import UnknownError
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from streams.kafka import admin, clients, header_names
from streams.kafka.clients import TopicPartition
from streams.settings import Settings
from tests.odd_names import OddName

FETCHER: Any = fetcher
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
CRC_AT, CRC_FROM = 17, 21


def batch(*names: str, first: int = 0, codec: int = 0, builder: type = _DefaultRecordBatchBuilderPy) -> bytes:
    """A batch of one record for each header name."""
    made = builder(2, codec, 0, -1, -1, -1, 1 << 20)
    for number, name in enumerate(names):
        made.append(number, 1, b"k", b"v" * 100, [("x-first", b""), (name, b"\x00"), ("x-null", None)])
    return struct.pack(">q", first) + bytes(made.build())[8:]


def parsed(parser: Any, data: bytes) -> list[Any]:
    """The records of the one batch in it."""
    return list(parser(data).next_batch())


def read(data: bytes, start: int = 0) -> list[tuple[int, str]]:
    """The offset and second header name of each record, as the fetcher reads them from `start` on."""
    records = FETCHER.PartitionRecords(
        TopicPartition("t", 0), FETCHER.MemoryRecords(data), None, start, None, None, True, FETCHER.READ_UNCOMMITTED
    )
    return [(record.offset, record.headers[1][0]) for record in records]


@pytest.fixture(autouse=True)
def tolerant() -> None:
    header_names.tolerate()


def test_aiokafka_cannot_read_such_a_name_by_itself() -> None:
    """When this fails, aiokafka has learnt it, and `header_names` can go."""
    with pytest.raises(UnicodeDecodeError):
        parsed(MemoryRecords, batch(OddName()))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("odd", [[0], [1], [2], [0, 1, 2]])
def test_such_a_name_is_written_with_backslashes_and_every_record_is_read(codec: str, odd: list[int]) -> None:
    names = [OddName() if number in odd else f"x-{number}" for number in range(3)]
    data = batch(*names, codec=CODECS[codec]) + batch("x-next", first=3)
    assert read(data) == [*((n, r"x-\xff" if n in odd else f"x-{n}") for n in range(3)), (3, "x-next")]


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_reading_begins_where_it_is_asked_to(start: int) -> None:
    names = [r"x-\xff", "x-1", r"x-\xff"]
    assert read(batch(OddName(), "x-1", OddName()), start) == list(enumerate(names))[start:]


def test_two_names_that_are_no_text_stay_apart() -> None:
    other = type("Other", (OddName,), {"encode": lambda *_: b"\xc3("})
    assert read(batch(OddName(), other())) == [(0, r"x-\xff"), (1, r"\xc3(")]


def test_keys_values_and_other_headers_stay_as_they_are() -> None:
    (strict,) = parsed(MemoryRecords, batch("x-1"))
    (odd,) = parsed(FETCHER.MemoryRecords, batch(OddName()))
    assert (odd.key, odd.value, odd.timestamp, odd.headers[::2]) == (
        *(strict.key, strict.value, strict.timestamp),
        strict.headers[::2],
    )
    assert [type(part) for part in (odd.key, odd.value, *odd.headers[1])] == [bytes, bytes, str, bytes]


def test_names_that_are_text_are_read_by_the_compiled_parser_alone() -> None:
    data = batch("é", "x")
    assert [type(record) for record in parsed(FETCHER.MemoryRecords, data)] == [
        type(record) for record in parsed(MemoryRecords, data)
    ]


class NullName(_DefaultRecordBatchBuilderPy):  # type: ignore[misc]
    """Writes the name of no bytes as a null: a length of -1."""

    def build(self) -> bytearray:
        data = super().build()
        at = data.index(b"\x00\x02\x00\x0cx-null")  # length 0, then the value of one byte
        data[at] = 1
        data[CRC_AT:CRC_FROM] = struct.pack(">I", calc_crc32c(bytes(data[CRC_FROM:])))
        return data


async def test_a_header_without_a_name_is_refused_by_the_broker(settings: Settings) -> None:
    await admin.apply(settings)
    async with AIOKafkaProducer(**clients.connection(settings)) as producer:
        made = producer.create_batch()
        made._builder = NullName(2, 0, 0, -1, -1, -1, 1 << 20)
        made.append(key=b"k", value=b"v", timestamp=None, headers=[("", b"\x00"), ("x-null", None)])
        with pytest.raises(UnknownError, match="UnknownError"):  # INVALID_RECORD, for which aiokafka has no name
            await (await producer.send_batch(made, settings.topic_prefix + "identity.user", partition=0))
