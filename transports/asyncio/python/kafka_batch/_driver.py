"""Drives the producer's machine by an event loop: its sockets, its timer, and the futures of its callers. No threads."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ._native import Delivery, KafkaBatch, Machine

logger = logging.getLogger("kafka_batch")

# What a TLS library says if one side does not accept the other's certificate, and if the other side does not use TLS.
_DISTRUST = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST")


class Driver:
    """The machine of one producer, bound to one event loop.

    The event loop keeps it alive while there is something to do, also without the producer: its timer, its connections, and
    its tasks refer to it.
    """

    def __init__(self, machine: Machine, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext | None) -> None:
        """Create the driver. It connects when something is sent."""
        self.machine = machine
        self.loop = loop
        self.context = context
        self.has_ended = False
        self._connections: dict[int, Connection] = {}
        self._closing: set[Connection] = set()
        self._all_closed: asyncio.Future[None] | None = None
        self._accepting: dict[int, asyncio.Future[None]] = {}
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0
        self._is_poll_scheduled = False

    def schedule_poll(self) -> None:
        """Poll the machine at the next turn of the event loop, once for all that happens in this one."""
        if not self._is_poll_scheduled:
            self._is_poll_scheduled = True
            self.loop.call_soon(self.pump)

    def result_of(self, operation: int) -> asyncio.Future[Any]:
        """Return the future of an operation."""
        future: asyncio.Future[Any] = self.loop.create_future()
        self._waiting[operation] = future
        self.schedule_poll()
        return future

    async def send_batch(self, batch: KafkaBatch, topic: str, partition: int | None) -> asyncio.Future[Delivery]:
        """Return the future of the delivery, once the batch is accepted."""
        operation, is_accepted = self.machine.send_batch(batch, topic, partition)
        outcome = self.result_of(operation)
        if is_accepted:
            return outcome
        accepting = self._accepting[operation] = self.loop.create_future()
        try:
            await accepting
        except BaseException:
            self._accepting.pop(operation, None)
            if self.machine.reclaim(operation, batch):
                del self._waiting[operation]
            raise
        return outcome

    async def send(self, operation: int) -> Any:
        """Wait for the outcome of a message. If this is cancelled before the message is accepted, nothing is sent."""
        future = self.result_of(operation)
        try:
            return await future
        finally:
            self.forget(operation)

    def forget(self, operation: int) -> bool:
        """End an operation whose outcome nobody waits for. Return whether it was not complete."""
        if self._waiting.pop(operation, None) is None:
            return False
        self.machine.cancel(operation)
        return True

    def abandon(self) -> None:
        """Close the producer, whose last reference is gone, once what was accepted is sent. Called on any thread."""
        try:
            self.loop.call_soon_threadsafe(self._close)
        except RuntimeError:
            pass  # the event loop is closed: nothing can be sent

    def _close(self) -> None:
        self.machine.close(False)
        self.pump()

    def pump(self) -> None:
        """Do all that the machine asks for."""
        self._is_poll_scheduled = False
        actions, seconds, is_again = self.machine.pump()
        for action in actions:
            kind = action[0]
            if kind == "transmit":
                connection = self._connections.get(action[1])
                if connection is not None:
                    connection.transmit(action[2], action[3])
            elif kind == "result":
                self._complete(action[1], action[2], None)
            elif kind == "error":
                self._complete(action[1], None, action[2])
            elif kind == "accepted":
                accepting = self._accepting.pop(action[1], None)
                if accepting is not None and not accepting.done():
                    accepting.set_result(None)
            elif kind == "overflow":
                connection = self._connections.get(action[1])
                if connection is not None:
                    connection.write_overflow(action[2])
            elif kind == "connect":
                connection = self._connections[action[1]] = Connection(self, action[1])
                connection.connect(*action[2:])
            elif kind == "close":
                connection = self._connections.pop(action[1], None)
                if connection is not None:
                    connection.close()
            elif kind == "log":
                logger.log(logging.ERROR if action[1] else logging.WARNING, "%s", action[2])
            else:
                self._end()
        if is_again:
            self.schedule_poll()
        self._set_timer(seconds)

    def _complete(self, operation: int, result: object, error: BaseException | None) -> None:
        future: asyncio.Future[Any] | None = self._accepting.pop(operation, None)
        if future is None:
            future = self._waiting.pop(operation, None)
        if future is None or future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def _set_timer(self, seconds: float | None) -> None:
        timer = self._timer
        if seconds is None:
            if timer is not None and self.has_ended:
                timer.cancel()
                self._timer = None
            return
        at = self.loop.time() + seconds
        # One that is due earlier stays: polling early does no harm, and setting a timer each time takes longer.
        # The handle itself cannot be asked: that of uvloop has no `when()` if the callback is due already.
        if timer is None or self._timer_at > at:
            if timer is not None:
                timer.cancel()
            self._timer, self._timer_at = self.loop.call_at(at, self._on_timer), at

    def _on_timer(self) -> None:
        self._timer = None
        self.pump()

    def _end(self) -> None:
        if not self.has_ended:
            self.has_ended = True
            for connection in self._connections.values():
                connection.close()
            self._connections.clear()

    def closing(self, connection: Connection) -> None:
        """Note a connection that has bytes to write before it is closed."""
        self._closing.add(connection)

    def closed(self, connection: Connection) -> None:
        """Note the end of such a connection."""
        self._closing.discard(connection)
        if not self._closing and self._all_closed is not None and not self._all_closed.done():
            self._all_closed.set_result(None)

    async def wait_closed(self) -> None:
        """Wait until all bytes of closed connections are written, for as long as connecting may take."""
        if self._closing:
            self._all_closed = self.loop.create_future()
            await asyncio.wait([self._all_closed], timeout=self.machine.setup_timeout)
            for connection in tuple(self._closing):
                connection.abort()

    def ended(self, number: int, how: str, error: BaseException | None, *, schedules_poll: bool = True) -> None:
        """Report the end of a connection."""
        if self._connections.pop(number, None) is None:
            return
        errno: int | None = None
        if isinstance(error, OSError) and not isinstance(error, (ssl.SSLError, socket.gaierror)):
            errno = error.errno
        text = None if error is None else str(error) or type(error).__name__
        self.machine.disconnected(number, how, errno, text)
        if schedules_poll:
            self.schedule_poll()


_FAMILIES = {"any": socket.AF_UNSPEC, "v4": socket.AF_INET, "v6": socket.AF_INET6}

_READ_SIZE = 64 * 1024
"""The bytes that are read at a time."""


class Connection(asyncio.BufferedProtocol):
    """A connection to a broker, or the attempt to make one.

    Without TLS, the machine writes to the socket itself, and the transport writes only what a full socket did not take. It reads into
    one buffer: an object for each read would be as large as the most that could be read.
    """

    def __init__(self, driver: Driver, number: int) -> None:
        """Create the protocol."""
        self._driver = driver
        self._number = number
        self._transport: asyncio.Transport | None = None
        self._is_made = False
        self._is_closed = False
        self._reports_writes = False
        self._is_paused = False
        self._is_written_by_machine = False
        self._unreported = 0
        self._buffer = memoryview(b"")
        self._task: asyncio.Task[None] | None = None

    def connect(self, host: str, port: int, failures: int) -> None:
        """Begin to connect. The driver knows the connection already: a task that is eager may end before this returns."""
        self._task = self._driver.loop.create_task(self._connect(host, port, failures))

    async def _connect(self, host: str, port: int, failures: int) -> None:
        """Try the addresses of a name in order, each for its share of the time."""
        loop, context = self._driver.loop, self._driver.context
        try:
            until = loop.time() + self._driver.machine.setup_timeout
            addresses = await self._resolve(host, port)
            first = failures % len(addresses)
            addresses = addresses[first:] + addresses[:first]
            for number, address in enumerate(addresses):
                share = (until - loop.time()) / (len(addresses) - number)
                try:
                    await asyncio.wait_for(self._attempt(host, address, port), share)
                    return
                except (OSError, asyncio.TimeoutError) as error:
                    if self._is_made or number == len(addresses) - 1 or isinstance(error, ssl.SSLError):
                        raise
        except asyncio.CancelledError:
            # By the machine, or because the event loop ends: then no other attempt is to begin meanwhile.
            self._driver.ended(self._number, "refused", None, schedules_poll=False)
            raise
        except Exception as error:
            if self._is_made:
                return
            # A server without TLS closes the connection, or answers with something else.
            is_cut = isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError))
            no_tls = context is not None and is_cut
            self._driver.ended(self._number, _how(error, "no tls" if no_tls else "refused"), error)

    async def _attempt(self, host: str, address: str, port: int) -> None:
        """Connect to one address."""
        loop, context = self._driver.loop, self._driver.context
        if context is not None:
            name = host.partition("%")[0]
            await loop.create_connection(lambda: self, address, port, ssl=context, server_hostname=name)
            return
        descriptor = self._driver.machine.open_socket(self._number, ":" in address)
        if descriptor is None:
            await loop.create_connection(lambda: self, address, port)
            return
        self._is_written_by_machine = True
        sock = socket.socket(fileno=descriptor)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, (address, port))
            await loop.create_connection(lambda: self, sock=sock)
        except BaseException:
            sock.close()
            raise

    async def _resolve(self, host: str, port: int) -> list[str]:
        family = _FAMILIES[self._driver.machine.address_family]
        try:
            version = ipaddress.ip_address(host).version
        except ValueError:
            pass
        else:
            if family not in (socket.AF_UNSPEC, _FAMILIES[f"v{version}"]):
                raise OSError(f"{host} does not have the family of broker.address.family")
            return [host]
        found: dict[str, None] = {}
        for *_, address in await self._driver.loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM):
            zone = address[3] if len(address) == 4 else 0
            found[f"{address[0]}%{zone}" if zone else str(address[0])] = None
        if not found:
            raise OSError(f"the name {host} has no addresses")
        return list(found)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Report that the connection is established, TLS included."""
        transport = cast("asyncio.Transport", transport)
        if self._is_closed:
            transport.abort()
            return
        self._transport, self._is_made = transport, True
        self._buffer = memoryview(bytearray(_READ_SIZE))
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):  # of a connection that has ended already, which is reported next
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # as the Java client
                send, receive, user_timeout = self._driver.machine.socket_options
                if send is not None:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send)
                if receive is not None:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
                if user_timeout is not None:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, user_timeout)
        machine = self._driver.machine
        self._reports_writes = not self._is_written_by_machine and machine.transmitted(self._number, 0)
        if self._reports_writes or self._is_written_by_machine:
            # Then writing is paused exactly while bytes are left. Over TLS these are the bytes that are to be encrypted: some of
            # the encrypted ones may be left.
            transport.set_write_buffer_limits(high=0 if self._driver.context is None else 1, low=0)
        machine.connected(self._number)
        self._driver.schedule_poll()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the memory to read into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass the bytes to the machine."""
        self._driver.machine.received(self._number, bytes(self._buffer[:nbytes]))
        self._driver.pump()

    def eof_received(self) -> None:
        """Report the end of the connection at once: a transport that has bytes to write would wait for a peer that reads no more."""
        if not self._is_closed:
            self._driver.ended(self._number, "by peer", None)
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Report the end of the connection."""
        self._transport = None
        self._driver.closed(self)
        how = "by peer" if exc is None else _how(exc, "broken")
        self._driver.ended(self._number, how, exc)

    def pause_writing(self) -> None:
        """Wait until the bytes are written."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Report what is written."""
        self._is_paused = False
        if self._is_written_by_machine:
            self._report_overflow()
        else:
            self._report_writes()

    def transmit(self, data: bytes, frames: int) -> None:
        """Write so many frames."""
        if self._transport is None or self._transport.is_closing():
            return  # it would drop the bytes: the end of the connection is reported instead
        self._transport.write(data)
        if self._reports_writes:
            self._unreported += frames
            if not self._is_paused:
                self._report_writes()

    def write_overflow(self, data: bytes) -> None:
        """Write the next bytes of a full socket. The machine writes nothing until they are written."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
            if not self._is_paused:
                self._report_overflow()

    def _report_overflow(self) -> None:
        self._driver.machine.overflow_written(self._number)
        self._driver.schedule_poll()

    def _report_writes(self) -> None:
        frames, self._unreported = self._unreported, 0
        if frames and self._driver.machine.transmitted(self._number, frames):
            self._driver.schedule_poll()

    def close(self) -> None:
        """Drop the connection, or the attempt."""
        self._is_closed = True
        if self._transport is None:
            if self._task is not None:
                self._task.cancel()
        elif self._reports_writes and self._driver.context is not None:
            self._driver.closing(self)
            self._transport.close()
        else:
            self._transport.abort()

    def abort(self) -> None:
        """Drop the connection with all unsent bytes."""
        if self._transport is not None:
            self._transport.abort()


def _how(error: BaseException, otherwise: str) -> str:
    """Return what an error of a connection means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "untrusted"
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason or error)
        if any(word in reason for word in _DISTRUST):
            return "untrusted"
        if isinstance(error, ssl.SSLEOFError) or any(word in reason for word in _NO_TLS):
            return "no tls"
    return otherwise
