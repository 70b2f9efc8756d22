"""A `KafkaBatch` through aiokafka's producer, versions 0.12 to 0.14."""

# aiokafka has no type information.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer
    from aiokafka.structs import RecordMetadata

    from ._native import KafkaBatch

__all__ = ["send_batch"]


async def send_batch(
    producer: AIOKafkaProducer, batch: KafkaBatch, topic: str, *, partition: int | None = None
) -> asyncio.Future[RecordMetadata]:
    """Send a batch, and return the future of its metadata, as `AIOKafkaProducer.send_batch` does.

    The batch is sealed here, in a thread if that takes long: an exception in aiokafka's sender would end the producer. It
    belongs to a transaction if the producer does. It can be sent once; if this call raises, it was not sent, and can be sent
    again. To send the records again after the future has failed, send ``batch.copy()``.

    Raises `SealError` if the batch is empty or too large, `BatchSentError` the second time, `ValueError` if it demands a
    transaction that the producer does not have or its format carries no producer id, and what aiokafka raises.
    """
    # aiokafka has no public attribute for either.
    manager: Any = producer._txn_manager  # pyright: ignore[reportPrivateUsage]
    idempotent = manager is not None
    transactional = idempotent and manager.transactional_id is not None
    if batch.is_transactional and not transactional:
        raise ValueError("the batch has is_transactional=True, and the producer has no transactional_id")
    if batch._is_slow_to_seal():
        await asyncio.to_thread(batch.seal)
    builder: Any = batch._builder(idempotent=idempotent, transactional=transactional)
    try:
        return await producer.send_batch(builder, topic, partition=partition)
    except BaseException:
        # aiokafka queues a batch without waiting afterwards, so an exception or a cancellation means that it did not.
        batch._unclaim()
        raise
