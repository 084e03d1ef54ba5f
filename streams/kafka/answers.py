"""What a command says when the cluster fails it half-way: one plain sentence in place of a library's error.

Roles do not use this: they heal by themselves, or end and are started again. A command has a person before it.
"""

from collections.abc import Awaitable
from typing import TypeVar

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from streams.core.errors import BrokerUnreachable, InvalidInput
from streams.kafka import refusals
from streams.settings import Settings

T = TypeVar("T")


async def answered(settings: Settings, work: Awaitable[T]) -> T:
    """The result of `work`; a Kafka error or a timeout in it becomes BrokerUnreachable or InvalidInput."""
    try:
        return await work
    except MessageSizeTooLargeError as error:
        raise InvalidInput("a record is larger than the topics take: make it smaller") from error
    except (KafkaError, TimeoutError) as error:
        raise refusals.forbidden(settings, error) or BrokerUnreachable(
            f"the broker at {settings.bootstrap} was reached and then failed to answer ({error!r}): try again, "
            "and look into the broker's log if it stays so"
        ) from error
