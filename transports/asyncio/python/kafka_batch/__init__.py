"""Kafka batches that the program fills, and sends as they are.

`KafkaBatch` is filled record by record and knows its exact size. Send it by a `Producer`, through aiokafka
(`kafka_batch.aiokafka`) or in FastStream (`kafka_batch.faststream`).
"""

from ._native import Delivery, KafkaBatch, Mark, Record, RecordDelivery, RecordMetadata
from ._producer import Producer
from ._transaction import GroupMetadata, Transaction
from ._types import Message, RecordTooLarge, Split
from .errors import (
    AppendError,
    BatchBufferOverflowError,
    BatchSealedError,
    BatchSentError,
    CommitInterruptedError,
    CommitUnknownError,
    ConfigError,
    DeliveryError,
    EncodeError,
    InitTransactionsTimeoutError,
    KafkaBatchError,
    ProducerFencedError,
    RecordError,
    RollbackError,
    SealError,
    SendError,
    TransactionAbortedError,
    TransactionError,
    TransactionFatalError,
)
from .stats import Stats

__all__ = [
    "AppendError",
    "BatchBufferOverflowError",
    "BatchSealedError",
    "BatchSentError",
    "CommitInterruptedError",
    "CommitUnknownError",
    "ConfigError",
    "Delivery",
    "DeliveryError",
    "EncodeError",
    "GroupMetadata",
    "InitTransactionsTimeoutError",
    "KafkaBatch",
    "KafkaBatchError",
    "Mark",
    "Message",
    "Producer",
    "ProducerFencedError",
    "Record",
    "RecordDelivery",
    "RecordError",
    "RecordMetadata",
    "RecordTooLarge",
    "RollbackError",
    "SealError",
    "SendError",
    "Split",
    "Stats",
    "Transaction",
    "TransactionAbortedError",
    "TransactionError",
    "TransactionFatalError",
]
