"""x."""
from streams.kafka import clients
from streams.settings import Settings
from aiokafka.admin import NewTopic
async def test_it(settings: Settings) -> None:
    async with clients.admin(settings) as admin:
        await admin.create_topics([NewTopic(settings.topic_prefix+"a", 3, 1)])
    async with clients.producer(settings) as producer:
        await producer.send_and_wait(settings.topic_prefix+"a", b"x")
async def test_it2(settings: Settings) -> None:
    await test_it(settings)
