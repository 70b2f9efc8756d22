"""`KafkaBatch` in FastStream, versions 0.6 and 0.7: a broker whose ``publish_batch`` takes a batch, and a test client for it."""

# aiokafka has no type information.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from aiokafka import ConsumerRecord
from faststream.kafka import KafkaBroker as _KafkaBroker
from faststream.kafka import TestKafkaBroker as _TestKafkaBroker
from faststream.kafka.exceptions import BatchBufferOverflowException
from faststream.kafka.publisher.producer import AioKafkaFastProducerImpl
from faststream.kafka.response import KafkaPublishCommand, KafkaResponse
from faststream.kafka.subscriber.usecase import BatchSubscriber
from faststream.kafka.testing import _find_handler  # pyright: ignore[reportPrivateUsage]
from faststream.message.utils import encode_message

from ._native import KafkaBatch
from ._types import Message
from .aiokafka import send_batch
from .errors import BatchBufferOverflowError, SealError

if TYPE_CHECKING:
    from aiokafka.structs import RecordMetadata

__all__ = ["KafkaBroker", "TestKafkaBroker"]

_CODECS: dict[int, str | None] = {0: None, 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_AS_THEY_ARE = (bytes, str, type(None))


class KafkaBroker(_KafkaBroker):
    """A `faststream.kafka.KafkaBroker` whose batches are `KafkaBatch`.

    A batch is given to `publish_batch`, is one of the messages of a batch publisher, or is returned by a handler of one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Create a broker. The arguments are those of FastStream's."""
        super().__init__(*args, **kwargs)
        config: Any = self.config
        config.broker_config.producer = _Producer(parser=kwargs.get("parser"), decoder=kwargs.get("decoder"))

    async def publish_batch(  # type: ignore[override]
        self,
        *messages: Any,
        batch: KafkaBatch | None = None,
        topic: str = "",
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: dict[str, str] | None = None,
        reply_to: str = "",
        correlation_id: str | None = None,
        no_confirm: bool = False,
    ) -> asyncio.Future[RecordMetadata] | RecordMetadata:
        """Publish a batch, messages, or both: then the messages are appended to the batch.

        Raises `BatchBufferOverflowException`, with the position of the first message that does not fit. Nothing is sent then,
        and the batch is as it was.
        """
        bodies = [_with_all_its_properties(message) for message in messages]
        if batch is not None:
            bodies.insert(0, batch)
        elif bodies and bodies[0] is None:
            bodies[0] = Message(None)  # FastStream takes a first None for no message
        options: dict[str, Any] = {"correlation_id": correlation_id, "no_confirm": no_confirm, "reply_to": reply_to}
        options |= {"topic": topic, "partition": partition, "timestamp_ms": timestamp_ms, "headers": headers}
        return await cast(Any, super().publish_batch)(*bodies, **options)


def _with_all_its_properties(message: Any) -> Any:
    """Return the message; as a `Message` if it has properties of which FastStream would send the key alone."""
    if not isinstance(message, KafkaResponse) or not (message.headers or message.timestamp_ms or message.correlation_id):
        return message
    return Message(
        message.body,
        key=getattr(message, "key", None),
        headers=message.headers or None,
        timestamp_ms=message.timestamp_ms,
        correlation_id=message.correlation_id,
    )


async def _send(
    cmd: KafkaPublishCommand,
    defaults: Callable[[], dict[str, Any]],
    encoder: Any,
    send: Callable[[KafkaBatch], Awaitable[Any]],
) -> Any:
    """Fill the batch of a command and send it. What the command appended is removed if the batch cannot be sealed."""
    batches = [body for body in cmd.batch_bodies if isinstance(body, KafkaBatch)]
    if len(batches) > 1:
        raise ValueError("one call publishes one batch")
    messages: list[Any] = []
    for position, body in enumerate(cmd.batch_bodies):
        if isinstance(body, KafkaBatch):
            continue
        own = body if isinstance(body, Message) else Message(body, key=_key_for(cmd, position))
        messages.append(await _encoded(own, encoder.serializer, encoder.codec))
    batch = batches[0] if batches else KafkaBatch(**defaults())
    mark = None if batch.closed() else batch.mark()
    if messages:
        call: dict[str, Any] = {"headers": cmd.headers or None, "reply_to": cmd.reply_to or ""}
        call |= {"correlation_id": cmd.correlation_id, "timestamp_ms": cmd.timestamp_ms}
        try:
            batch.try_extend(*messages, **call)
        except BatchBufferOverflowError as overflow:
            raise BatchBufferOverflowException(message_position=overflow.message_position) from overflow
    try:
        return await send(batch)
    except SealError:
        if mark is not None:
            batch.rollback(mark)
        raise


def _key_for(cmd: Any, position: int) -> Any:
    """Return the key of a message. FastStream 0.6.0 has none for each."""
    key_for = getattr(cmd, "key_for", None)
    return cmd.key if key_for is None else key_for(position)


async def _encoded(message: Message, serializer: Any, codec: Any) -> object:
    """Return the message with its value encoded as FastStream does."""
    is_default = codec is None or type(codec).__name__ == "DefaultCodec"
    if is_default and type(message.value) in _AS_THEY_ARE:
        return message.value if message == Message(message.value) else message
    if message.value is None and message.key is not None:
        return message  # a tombstone, as FastStream's `publish` sends it
    value: Any = message.value
    if is_default:
        value, content_type = encode_message(value, serializer)
    else:
        value, content_type = await cast(Any, codec).encode(value, serializer)
    content_type = message.content_type if content_type is None else content_type
    return Message(
        value, message.key, message.headers, message.timestamp_ms, message.correlation_id, message.reply_to, content_type
    )


class _Producer(AioKafkaFastProducerImpl):
    """FastStream's producer, with batches that are filled by `KafkaBatch`."""

    async def publish_batch(self, cmd: KafkaPublishCommand) -> Any:
        producer = self._producer.producer
        accumulator: Any = producer._message_accumulator  # pyright: ignore[reportPrivateUsage]

        def defaults() -> dict[str, Any]:
            return {
                "batch_size": accumulator._batch_size,
                "compression_type": _CODECS[accumulator._compression_type],
                "boundary": "aiokafka",
                "max_message_bytes": max(1_048_588, accumulator._batch_size),
            }

        async def send(batch: KafkaBatch) -> Any:
            future = await send_batch(producer, batch, cmd.destination, partition=cmd.partition)
            return future if cmd.no_confirm else await future

        return await _send(cmd, defaults, _Encoder(self.serializer, getattr(self, "codec", None)), send)


class _Encoder(NamedTuple):
    """How a broker encodes messages. FastStream has codecs from 0.7 on."""

    serializer: Any
    codec: Any


class TestKafkaBroker(_TestKafkaBroker):
    """A `faststream.kafka.TestKafkaBroker` that delivers the records of a `KafkaBatch` to the handlers."""

    __test__ = False

    @contextmanager
    def _patch_producer(self, broker: Any) -> Generator[None, None, None]:
        with super()._patch_producer(broker):
            fake: Any = broker.config.producer

            async def publish_batch(cmd: KafkaPublishCommand) -> Any:
                return await _deliver(fake, cmd)

            execute = fake._execute_handler

            async def execute_handler(message: Any, topic: str, handler: Any) -> Any:
                return await execute(message, topic, _Handler(handler))

            fake.publish_batch = publish_batch
            fake._execute_handler = execute_handler
            yield


class _Handler:
    """A handler whose result FastStream's fake producer can encode, as the reply that it makes of each."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    async def process_message(self, message: Any) -> Any:
        result = await self._handler.process_message(message)
        if isinstance(result.body, KafkaBatch):
            result.body = b""  # a publisher has it
        return result


async def _deliver(fake: Any, cmd: KafkaPublishCommand) -> Any:
    """Deliver a batch as FastStream's fake producer delivers messages: sealed, and once."""
    encoder = _Encoder(fake.broker.config.fd_config._serializer, getattr(fake, "codec", None))

    async def send(batch: KafkaBatch) -> None:
        batch._builder(idempotent=False, transactional=batch.is_transactional)
        records = [_consumer_record(record, cmd) for record in batch]
        subscribers = getattr(fake, "subscribers", None) or fake.broker.subscribers
        for handler in _find_handler(subscribers, cmd.destination, cmd.partition):
            for message in [records] if isinstance(handler, BatchSubscriber) else records:
                await fake._execute_handler(message, cmd.destination, handler)

    await _send(cmd, dict, encoder, send)
    if cmd.no_confirm:
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future
    return None


def _consumer_record(record: Any, cmd: KafkaPublishCommand) -> Any:
    return ConsumerRecord(
        topic=cmd.destination,
        partition=cmd.partition or 0,
        offset=record.offset,
        timestamp=record.timestamp,
        timestamp_type=0,
        key=record.key,
        value=record.value,
        checksum=None,
        serialized_key_size=-1 if record.key is None else len(record.key),
        serialized_value_size=-1 if record.value is None else len(record.value),
        headers=record.headers,
    )
