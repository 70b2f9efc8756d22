"""What the producer writes to sockets: without TLS the machine does it, and the event loop's transport when a socket is full."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import pytest

from kafka_batch import KafkaBatch, Producer
from kafka_batch._driver import Connection
from kafka_batch.testing import Cluster

LIMIT = 60
SIZE = 1_000_000


def of_uvloop() -> Any:
    return pytest.importorskip("uvloop").new_event_loop()


LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, of_uvloop])


def run(main: Callable[[], Awaitable[Any]], new_loop: Callable[[], Any] = asyncio.new_event_loop) -> None:
    """Run a coroutine in an event loop."""
    loop = new_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(main(), LIMIT))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


class Proxy:
    """A port that leads to a cluster. It receives little before it reads, and does not read before it is opened."""

    def __init__(self, cluster: Cluster) -> None:
        self.port = int(cluster.bootstrap_servers.rpartition(":")[2])
        self.opened = asyncio.Event()
        self.breaks = False
        """Whether to reset the first connection that is full."""
        self.has_broken = False
        self.overflows = 0

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", self.port)
        answers = asyncio.ensure_future(self._copy(onward_reader, writer))
        # The handshake and the metadata are short; batches are not.
        while len(data := await reader.read(1 << 16)) < 10_000:
            onward.write(data)
            if not data:
                break
        else:
            await self.opened.wait()
            if self.breaks and not self.has_broken:
                self.has_broken = True
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.close()
            else:
                onward.write(data)
        await asyncio.gather(self._copy(reader, onward), answers, return_exceptions=True)

    async def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run a coroutine whose producers meet the proxy, which is opened as soon as a socket of theirs is full."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        listening.bind(("127.0.0.1", 0))
        server = await asyncio.start_server(self._serve, sock=listening)
        port = listening.getsockname()[1]
        attempt, write_overflow = Connection._attempt, Connection.write_overflow  # pyright: ignore[reportPrivateUsage]

        async def redirected(connection: Connection, host: str, address: str, _: int) -> None:
            await attempt(connection, host, address, port)

        def counting(connection: Connection, data: bytes) -> None:
            self.overflows += 1
            write_overflow(connection, data)
            self.opened.set()

        with (
            mock.patch.object(Connection, "_attempt", redirected),
            mock.patch.object(Connection, "write_overflow", counting),
        ):
            await main()
        server.close()
        while len(asyncio.all_tasks()) > 2:  # this one, and that of `wait_for`
            await asyncio.sleep(0.001)


async def publish_all(producer: Producer, count: int) -> None:
    """Send a message, after whose delivery several batches can be in flight, and so many batches of 1 MB."""
    await producer.send("t", "first", partition=0)
    batches = [KafkaBatch(f"{n} ".ljust(SIZE, "x"), batch_size=SIZE) for n in range(count)]
    await asyncio.gather(*[await producer.send_batch(batch, "t", partition=0) for batch in batches])


def numbers(cluster: Cluster, count: int) -> list[int]:
    """Return the numbers of the batches in the log, once it has so many."""
    values = [record.value or b"" for record in cluster.wait_for_records(count + 1, "t", 0)]
    assert values[0] == b"first" and all(len(value) == SIZE for value in values[1:])
    return [int(value.split()[0]) for value in values[1:]]


@LOOPS
@pytest.mark.parametrize("acks", ["all", "0"])
def test_what_a_full_socket_did_not_take_is_written_later(new_loop: Callable[[], Any], acks: Any) -> None:
    async def main() -> None:
        proxy = Proxy(cluster)

        async def publish() -> None:
            async with Producer(bootstrap_servers=cluster.bootstrap_servers, acks=acks, buffer_memory=1 << 25) as producer:
                await publish_all(producer, 20)

        await proxy.run(publish)
        assert proxy.overflows > 0

    with Cluster({"t": 1}) as cluster:
        run(main, new_loop)
        assert numbers(cluster, 20) == list(range(20))


@LOOPS
def test_a_connection_that_breaks_while_its_socket_is_full_loses_nothing(new_loop: Callable[[], Any]) -> None:
    async def main() -> None:
        proxy = Proxy(cluster)
        proxy.breaks = True

        async def publish() -> None:
            async with Producer(bootstrap_servers=cluster.bootstrap_servers, buffer_memory=1 << 25) as producer:
                await publish_all(producer, 10)

        await proxy.run(publish)
        assert proxy.overflows > 0 and proxy.has_broken

    with Cluster({"t": 1}) as cluster:
        run(main, new_loop)
        assert numbers(cluster, 10) == list(range(10))


@LOOPS
def test_connections_are_kept_alive_and_send_short_frames_at_once(new_loop: Callable[[], Any]) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers) as producer:
            await producer.send("t", "a", partition=0)
            driver = producer._bound  # pyright: ignore[reportPrivateUsage]
            assert driver is not None
            for connection in driver._connections.values():  # pyright: ignore[reportPrivateUsage]
                transport = connection._transport  # pyright: ignore[reportPrivateUsage]
                assert transport is not None
                sock = transport.get_extra_info("socket")
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) and sock.getsockopt(
                    socket.IPPROTO_TCP, socket.TCP_NODELAY
                )

    with Cluster({"t": 1}) as cluster:
        run(main, new_loop)


def test_a_failed_write_ends_the_connection() -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers) as producer:
            await producer.send("t", "a", partition=0)
            driver = producer._bound  # pyright: ignore[reportPrivateUsage]
            assert driver is not None
            for connection in driver._connections.values():  # pyright: ignore[reportPrivateUsage]
                transport = connection._transport  # pyright: ignore[reportPrivateUsage]
                assert transport is not None
                transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
            assert (await producer.send("t", "b", partition=0)).offset == 1

    with Cluster({"t": 1}) as cluster:
        run(main)
        assert [record.value for record in cluster.records("t", 0)] == [b"a", b"b"]


@pytest.mark.parametrize("acks", ["all", "0"])
def test_a_transport_writes_where_sockets_are_no_descriptors(acks: Any) -> None:
    async def attempt(self: Connection, host: str, address: str, port: int) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, address, port)

    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, acks=acks, buffer_memory=1 << 25) as producer:
            await publish_all(producer, 10)

    with Cluster({"t": 1}) as cluster, mock.patch.object(Connection, "_attempt", attempt):
        run(main)
        assert numbers(cluster, 10) == list(range(10))
