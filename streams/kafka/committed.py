"""Where a consumer group would start: the offsets it committed, with what was committed beside them."""

import asyncio

from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from streams.kafka import clients
from streams.kafka.clients import TopicPartition
from streams.settings import Settings

PATIENCE_S = 30.0
"""A coordinator that is being elected or loaded answers within seconds; a new cluster first has to make its topic."""

ASK_AGAIN_S = 0.2


async def offsets(settings: Settings, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
    """The committed offset and metadata of each partition that has one. Raises KafkaError when nobody can say."""
    async with asyncio.timeout(PATIENCE_S), clients.admin(settings) as admin:
        while True:
            try:
                found = await admin.list_consumer_group_offsets(group)
            except KafkaError as error:
                if not error.retriable:
                    raise
                await asyncio.sleep(ASK_AGAIN_S)
            else:
                return {partition: at for partition, at in found.items() if at.offset >= 0}
