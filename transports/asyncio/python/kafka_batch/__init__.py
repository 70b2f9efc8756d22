"""Kafka batches that the program fills, and sends as they are.

`KafkaBatch` is filled record by record and knows its exact size. Send it through aiokafka
(`kafka_batch.aiokafka`) or in FastStream (`kafka_batch.faststream`).
"""

from ._native import KafkaBatch, Mark, Record, RecordMetadata
from ._types import Message, RecordTooLarge, Split
from .errors import (
    AppendError,
    BatchBufferOverflowError,
    BatchSealedError,
    BatchSentError,
    EncodeError,
    KafkaBatchError,
    RollbackError,
    SealError,
)

__all__ = [
    "AppendError",
    "BatchBufferOverflowError",
    "BatchSealedError",
    "BatchSentError",
    "EncodeError",
    "KafkaBatch",
    "KafkaBatchError",
    "Mark",
    "Message",
    "Record",
    "RecordMetadata",
    "RecordTooLarge",
    "RollbackError",
    "SealError",
    "Split",
]
