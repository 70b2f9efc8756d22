"""What can be sent by a producer, and in a transaction."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from ._driver import Driver
    from ._native import Delivery, KafkaBatch, Machine, RecordDelivery
    from ._types import Headers, Octets


class Sender:
    """The methods that a producer and its transactions have in common."""

    def _driver_to_send(self) -> Driver:
        """Return the driver, or raise an exception if nothing can be sent now."""
        raise NotImplementedError

    def _driver_to_ask(self) -> Driver:
        """Return the driver, for what sends no records."""
        raise NotImplementedError

    def _current_machine(self) -> Machine:
        raise NotImplementedError

    def _check(self, batch: KafkaBatch) -> None:
        """Raise an exception if such a batch cannot be sent."""

    def batch(
        self,
        *messages: object,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
        reply_to: str = "",
        correlation_id: str | None = None,
        key: Octets | str | None = None,
    ) -> KafkaBatch:
        """Create a batch with the codec and the limits of this producer, in the newest format that its brokers accept.

        The messages are appended as by `KafkaBatch.extend`.
        """
        batch = self._current_machine().batch()
        if messages:
            batch.extend(
                *messages,
                timestamp_ms=timestamp_ms,
                headers=headers,
                reply_to=reply_to,
                correlation_id=correlation_id,
                key=key,
            )
        return batch

    async def send_batch(
        self, batch: KafkaBatch, topic: str, *, partition: int | None = None
    ) -> asyncio.Future[Delivery]:
        """Send a batch, and return the future of its delivery as soon as it is accepted.

        While ``buffer_memory`` is full this waits, in the order of the calls. Without a partition, the producer chooses one,
        another for each batch. If this call raises or is cancelled before the batch is accepted, nothing is sent, and the batch
        (sealed) can be sent again.

        Raises `SealError` if the batch is empty or too large, `BatchSentError` the second time, and `SendError` if there is no
        such partition, no broker responds, or the producer is closed. The future raises `DeliveryError`, which has the batch.
        """
        driver = self._driver_to_send()
        self._check(batch)
        if batch._is_slow_to_seal():
            await asyncio.to_thread(batch.seal)
            driver = self._driver_to_send()
        return await driver.send_batch(batch, topic, partition)

    async def publish_batch(
        self,
        *messages: object,
        topic: str,
        batch: KafkaBatch | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
        reply_to: str = "",
        correlation_id: str | None = None,
        key: Octets | str | None = None,
    ) -> Delivery:
        """Append messages to a batch, or to a new one, send it, and wait for its delivery.

        Raises `BatchBufferOverflowError` or `AppendError` if the messages cannot all be appended: then the batch is as it was.
        Otherwise raises as `send_batch` and the future that it returns.
        """
        batch = self.batch() if batch is None else batch
        if messages:
            batch.try_extend(
                *messages,
                timestamp_ms=timestamp_ms,
                headers=headers,
                reply_to=reply_to,
                correlation_id=correlation_id,
                key=key,
            )
        return await (await self.send_batch(batch, topic, partition=partition))

    async def send(
        self,
        topic: str,
        message: object,
        *,
        partition: int | None = None,
        key: Octets | str | None = None,
        headers: Headers | None = None,
        timestamp_ms: int | None = None,
        correlation_id: str | None = None,
        reply_to: str = "",
    ) -> RecordDelivery:
        """Send one message, and wait for its delivery.

        Messages of many tasks share batches: one is sent when it is full (``batch_size``), or when ``linger_ms`` has passed
        since its first message, which with 0, the default, is the next turn of the event loop. While as many batches of its
        partition are in flight as the producer sends at a time (``max_in_flight_requests_per_connection``, 5 by default; 1
        without idempotence), it still takes messages, for at most 100 ms. The key chooses the partition as in the Java client.

        If this is cancelled before the message is accepted, nothing is sent; after that, only the outcome is discarded.

        Raises `AppendError`, `SendError` and `DeliveryError`.
        """
        driver = self._driver_to_send()
        operation = driver.machine.send(
            topic, message, partition, key, headers, timestamp_ms, correlation_id, reply_to
        )
        return await driver.send(operation)

    async def partition_count(self, topic: str) -> int:
        """Return the number of partitions of a topic. Raises `SendError`."""
        driver = self._driver_to_ask()
        return cast(int, await driver.send(driver.machine.partition_count(topic)))
