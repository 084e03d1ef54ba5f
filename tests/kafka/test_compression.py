"""However upstream, its topic or the broker compresses, records are read."""

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError

from streams.core.records import Outgoing
from streams.kafka import admin, clients, reader
from streams.kafka.clients import TopicPartition
from streams.kafka.publisher import publisher
from streams.settings import Settings


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_records_of_every_codec_are_read(settings: Settings, codec: str) -> None:
    await admin.apply(settings)
    topic = settings.topic_prefix + "identity.user"
    async with clients.admin(settings) as client:
        wish = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"compression.type": codec})
        await client.alter_configs([wish])
    async with publisher(settings) as out:
        await out.publish([Outgoing(topic="identity.user", key=b"k", value=b"v" * 1000, partition=0)])
    (record,) = [record async for record in reader.to_end(settings, {TopicPartition(topic, 0): -1})]
    assert record.value == b"v" * 1000


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_large_record_in_a_small_compressed_batch_is_refused_by_its_real_size(
    settings: Settings, codec: str
) -> None:
    await admin.apply(settings)
    options = clients.connection(settings) | {"compression_type": codec, "max_request_size": 64 << 20}
    async with AIOKafkaProducer(**options) as bomber:
        with pytest.raises(MessageSizeTooLargeError):
            await bomber.send_and_wait(settings.topic_prefix + "identity.user", bytes(30 << 20))
