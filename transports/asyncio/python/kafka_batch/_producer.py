"""A producer on asyncio's own event loop, or on uvloop."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import warnings
from collections.abc import Iterable
from os import getpid
from typing import TYPE_CHECKING, cast

from ._driver import Driver
from ._native import Machine
from ._sender import Sender
from ._settings import Settings, to_kafka
from ._transaction import Transaction, Transactions
from .errors import ConfigError
from .stats import Stats, to_stats

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from ._native import KafkaBatch


class Producer(Sender):
    """Sends batches exactly as they were filled: one batch in the program is one batch in the log.

    It belongs to the event loop in which it is first used, and is shared by any number of tasks of it. It starts no thread; only
    batches of 64 KiB and more with a codec are compressed in one of asyncio's threads.

    Every accepted batch or message has its outcome within ``delivery_timeout_ms``: a delivery, or `DeliveryError`, whose
    ``fate`` says whether it may be in the log. Cancelling what waits for an outcome discards that outcome alone.

    Close it: ``async with Producer(…) as producer`` does. What it has accepted is sent without that, too, while its event loop
    runs.
    """

    def __init__(
        self,
        *,
        bootstrap_servers: str | Iterable[str],
        ssl_context: ssl.SSLContext | None = None,
        max_message_bytes: int | None = None,
        split_too_large: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        """Create a producer. It connects when something is sent.

        Settings have their Kafka names, with underscores (``linger_ms``, ``compression_type``, ``acks``). With an
        ``ssl_context``, connections are encrypted; with ``security_protocol="ssl"`` alone, Python's default context is used.
        ``max_message_bytes`` is the hard limit of a batch. With ``split_too_large``, a batch that the broker refuses as too
        large is sent in parts.

        Raises `ConfigError`.
        """
        self._bound: Driver | None = None
        self._is_closed = False
        self._transactions = None if settings.get("transactional_id") is None else Transactions()
        servers = bootstrap_servers if isinstance(bootstrap_servers, str) else ",".join(bootstrap_servers)
        named: dict[str, object] = {"bootstrap_servers": servers, **settings}
        if ssl_context is not None and "security_protocol" not in settings and "://" not in servers:
            named["security_protocol"] = "sasl_ssl" if settings.get("sasl_username") is not None else "ssl"
        self._servers = servers
        self._make_machine = lambda: Machine(
            to_kafka(named),
            max_message_bytes=max_message_bytes,
            split_too_large=split_too_large,
            seed=secrets.randbits(64),
        )
        self._machine = self._make_machine()
        self._pid = getpid()
        if self._machine.over_tls:
            ssl_context = ssl.create_default_context() if ssl_context is None else ssl_context
        elif ssl_context is not None:
            raise ConfigError(
                "there is an ssl_context, and the protocol is one without TLS: set security_protocol to ssl or sasl_ssl"
            )
        self._context = ssl_context

    def _check_process(self) -> None:
        """Refuse to work in a child process: a lock that another thread held during the fork is never released there."""
        if getpid() != self._pid:
            if self._bound is not None:
                raise RuntimeError(
                    "this producer was used before os.fork(), and its connections are those of the parent process: "
                    "create another one in the child"
                )
            self._machine, self._pid = self._make_machine(), getpid()  # with random numbers of its own

    def _driver(self) -> Driver:
        """Return the driver, which the first call binds to the running event loop."""
        self._check_process()
        loop = asyncio.get_running_loop()
        if self._bound is None:
            self._bound = Driver(self._machine, loop, self._context)
        elif self._bound.loop is not loop:
            raise RuntimeError("this producer belongs to another event loop, where it was used first: create one in each")
        return self._bound

    def _driver_to_send(self) -> Driver:
        if self._transactions is not None:
            raise RuntimeError("this producer has a transactional_id: send in a transaction, `async with producer.transaction()`")
        return self._driver()

    def _driver_to_ask(self) -> Driver:
        return self._driver()

    def _current_machine(self) -> Machine:
        self._check_process()
        return self._machine

    def _check(self, batch: KafkaBatch) -> None:
        if batch.is_transactional:
            raise ValueError("the batch has is_transactional=True, and this producer has no transactional_id")

    def transaction(self) -> Transaction:
        """Return a transaction, which ``async with`` begins and ends. The producer needs a ``transactional_id``, and has one
        transaction at a time.

        To begin raises `ProducerFencedError`, `TransactionFatalError`, `InitTransactionsTimeoutError` or `CommitInterruptedError`.
        The end of the block raises `TransactionAbortedError`, `CommitUnknownError`, `ProducerFencedError` or
        `TransactionFatalError`, unless the block has raised an exception: then the transaction is aborted, and that exception
        goes on.
        """
        if self._transactions is None:
            raise ConfigError("a producer of transactions needs a transactional_id, which it keeps when it is restarted")
        driver = self._driver()
        return Transaction(self._transactions, driver, self._machine)

    async def stats(self) -> Stats:
        """Return what this producer has done so far, and its present state: a snapshot of its counters.

        After the producer was closed these are its last statistics.
        """
        driver = self._driver()
        return to_stats(await driver.send(self._machine.stats()))

    async def flush(self) -> None:
        """Wait until everything that was accepted before this call is delivered or has failed."""
        driver = self._driver()
        await driver.result_of(self._machine.flush())

    async def close(self) -> None:
        """Accept nothing more, and wait for the outcome of what was accepted. Continues if it is cancelled."""
        await self._close(at_once=False)

    async def close_at_once(self) -> None:
        """Fail everything that has no outcome yet, with its fate as far as it is known, and close."""
        await self._close(at_once=True)

    async def _close(self, *, at_once: bool) -> None:
        if self._bound is not None and self._bound.has_ended:
            return
        driver = self._driver()
        self._is_closed = True
        await driver.result_of(self._machine.close(at_once))
        await driver.wait_closed()

    async def __aenter__(self) -> Self:
        """Bind the producer to the running event loop. With a ``transactional_id``, get a producer id."""
        driver = self._driver()
        if self._transactions is not None:
            try:
                await self._transactions.initialize(driver)
            except BaseException:
                await self.close_at_once()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the producer."""
        await self.close()

    def __repr__(self) -> str:
        """Return the addresses of the brokers."""
        return f"<Producer: {self._servers}{', closed' if self._is_closed else ''}>"

    def __del__(self) -> None:
        """Warn if the producer was not closed, and send what it has accepted."""
        bound = cast("Driver | None", getattr(self, "_bound", None))  # None if the constructor has failed
        if bound is None or self._is_closed or getpid() != self._pid:
            return
        try:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
        finally:
            bound.abandon()
