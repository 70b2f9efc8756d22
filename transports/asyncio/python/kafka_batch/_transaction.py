"""Transactions of a producer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._sender import Sender
from .errors import CommitInterruptedError, InitTransactionsTimeoutError, TransactionError

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from ._driver import Driver
    from ._native import Delivery, KafkaBatch, Machine


@dataclass(frozen=True)
class GroupMetadata:
    """A member of a consumer group, on whose behalf offsets are committed: its coordinator refuses those of a member that the
    group has lost meanwhile."""

    group_id: str
    generation_id: int
    """The generation of the group, or the epoch of the member."""
    member_id: str
    group_instance_id: str | None = None
    """The name of a static member."""


class Transactions:
    """The transactions of one producer, one after the other."""

    def __init__(self) -> None:
        """Create the state of a producer that has begun none."""
        self._initialized: asyncio.Future[None] | None = None
        self._open: Transaction | None = None
        self._commit: asyncio.Future[None] | None = None

    async def initialize(self, driver: Driver) -> None:
        """Get a producer id, which fences a former producer of the same name. Has an effect once, but is repeated after a time-out.

        Cancelling this does not cancel that: the next call waits for it.
        """
        initialized = self._initialized
        if initialized is None or (
            initialized.done() and isinstance(initialized.exception(), InitTransactionsTimeoutError)
        ):
            initialized = self._initialized = driver.result_of(driver.machine.init_transactions())
        await asyncio.shield(initialized)

    async def begin(self, driver: Driver, transaction: Transaction) -> None:
        """Begin a transaction, once the last one has ended."""
        if self._open is not None:
            raise RuntimeError("a producer has one transaction at a time, and one is open: end it first, or use another producer")
        self._open = transaction
        try:
            if (commit := self._commit) is not None:
                await self._interrupted(commit)
            await self.initialize(driver)
            await self._begin(driver)
        except BaseException:
            self._open = None
            raise

    @staticmethod
    async def _begin(driver: Driver) -> None:
        operation = driver.machine.begin_transaction()
        begun = driver.result_of(operation)
        try:
            await begun
        except asyncio.CancelledError:
            # If it is too late to cancel it, it was begun in this turn of the event loop.
            if not driver.forget(operation):
                driver.result_of(driver.machine.abort_transaction()).add_done_callback(_retrieve)
            raise

    async def _interrupted(self, commit: asyncio.Future[None]) -> None:
        try:
            await asyncio.shield(commit)
        except TransactionError as error:
            self._commit = None
            raise CommitInterruptedError(error) from error
        self._commit = None
        raise CommitInterruptedError(None)

    async def commit(self, driver: Driver) -> None:
        """Commit the open transaction. Cancelling this does not cancel the commit."""
        try:
            commit = self._commit = driver.result_of(driver.machine.commit_transaction())
            try:
                await asyncio.shield(commit)
            except TransactionError:
                pass
        finally:
            # Only now: another task that begins one meanwhile would report this commit as interrupted.
            self._open = None
        # Here it has ended: otherwise the next transaction waits for it.
        self._commit = None
        commit.result()

    async def abort(self, driver: Driver) -> None:
        """Abort the open transaction. Cancelling this does not cancel that."""
        self._open = None
        await asyncio.shield(driver.result_of(driver.machine.abort_transaction()))


class Transaction(Sender):
    """A transaction, from `Producer.transaction`: ``async with`` begins it, commits it at the end of the block, and aborts it if the
    block raises an exception.

    What is sent in it is visible to consumers with ``isolation_level="read_committed"`` once it is committed, and never if it is
    not. If a batch or offsets fail, it can only be aborted: what follows is refused, and the end of the block aborts it and raises
    `TransactionAbortedError`. So the outcome of each batch need not be awaited, but its acceptance must be: what is not accepted
    when the block ends raises `SendError`, and is in no transaction.
    """

    def __init__(self, transactions: Transactions, driver: Driver, machine: Machine) -> None:
        """Create a transaction that is begun by ``async with``."""
        self._transactions = transactions
        self._driver = driver
        self._machine = machine
        self._is_open = False
        self._was_begun = False

    def _driver_to_send(self) -> Driver:
        if not self._is_open:
            raise RuntimeError("this transaction is not open: send in the block of its `async with`")
        return self._driver

    def _driver_to_ask(self) -> Driver:
        return self._driver

    def _current_machine(self) -> Machine:
        return self._machine

    async def send_batch(
        self, batch: KafkaBatch, topic: str, *, partition: int | None = None
    ) -> asyncio.Future[Delivery]:
        """Send a batch in the transaction, as `Producer.send_batch`. The future need not be awaited."""
        delivery = await super().send_batch(batch, topic, partition=partition)
        delivery.add_done_callback(_retrieve)
        return delivery

    async def send_offsets(
        self, group: str | GroupMetadata, offsets: Mapping[tuple[str, int], int | tuple[int, str]]
    ) -> None:
        """Commit offsets of a consumer group in the transaction: those of the next records to read, by topic and partition, each
        alone or with metadata. aiokafka's ``TopicPartition`` and ``OffsetAndMetadata`` are such tuples.

        The group continues from them if and only if the transaction is committed. With the name of a group alone, brokers accept
        offsets from any producer, also on behalf of a consumer that has lost the partition in a rebalance: pass a `GroupMetadata`
        if the consumer subscribes and exposes its generation and its member id, or assign its partitions.

        Cancelling this does not withdraw the offsets: they stay in the transaction, and its commit waits for them.

        Raises `TransactionAbortedError` if the transaction will not be committed.
        """
        driver = self._driver_to_send()
        if isinstance(group, str):
            group = GroupMetadata(group, -1, "")
        member = (group.group_id, group.generation_id, group.member_id, group.group_instance_id)
        found = [
            (topic, partition, *((offset, "") if isinstance(offset, int) else offset))
            for (topic, partition), offset in offsets.items()
        ]
        await driver.send(driver.machine.send_offsets(member, found))

    async def abort(self) -> None:
        """Abort the transaction before the end of its block, in which nothing can be sent any more."""
        driver = self._driver_to_send()
        self._is_open = False
        await self._transactions.abort(driver)

    async def __aenter__(self) -> Self:
        """Begin the transaction."""
        if self._was_begun:
            raise RuntimeError("a transaction is begun once: call Producer.transaction() for each")
        self._was_begun = True
        await self._transactions.begin(self._driver, self)
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Commit the transaction, or abort it if the block has raised an exception."""
        if not self._is_open:
            return
        self._is_open = False
        if error is None:
            await self._transactions.commit(self._driver)
            return
        try:
            await self._transactions.abort(self._driver)
        except TransactionError:
            pass  # it is logged, and the next transaction raises it again; in no case is this one committed


def _retrieve(outcome: asyncio.Future[Any]) -> None:
    """Mark an exception as seen: the end of the transaction raises it, too, or the next one."""
    if not outcome.cancelled():
        outcome.exception()
