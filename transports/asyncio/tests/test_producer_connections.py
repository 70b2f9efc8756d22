"""The producer's connections on event loops that do things at other moments, and with peers that end them by halves."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import pytest

from kafka_batch import Producer, SendError
from kafka_batch._driver import Connection, Driver
from kafka_batch._settings import Settings
from kafka_batch.testing import Cluster
from test_producer_sockets import LOOPS, Proxy, numbers, publish_all, run

UNREACHABLE = "255.255.255.255:9"
"""An address for which connecting fails before it waits for anything."""

HOURS = 3_600_000


def driver_of(producer: Producer) -> Driver:
    driver = producer._bound  # pyright: ignore[reportPrivateUsage]
    assert driver is not None
    return driver


def connections_of(producer: Producer) -> list[Connection]:
    return list(driver_of(producer)._connections.values())  # pyright: ignore[reportPrivateUsage]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks are not eager")
def test_an_eager_task_that_cannot_connect_is_reported() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory"))
        async with Producer(bootstrap_servers=UNREACHABLE, request_timeout_ms=500) as producer:
            with pytest.raises(SendError, match="could not connect"):
                await producer.send("t", "x", partition=0)
            assert connections_of(producer) == []
        async with Producer(bootstrap_servers=cluster.bootstrap_servers) as producer:
            assert (await producer.send("t", "x", partition=0)).offset == 0

    with Cluster({"t": 1}) as cluster:
        run(main)


@LOOPS
def test_a_timer_that_is_due_can_be_set_again(new_loop: Callable[[], Any]) -> None:
    """uvloop's handle of such a timer is another one, without a time."""

    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers) as producer:
            driver = driver_of(producer)
            for seconds in (0.0, 0.0, 1e-6, 1.0, 0.0):
                driver._set_timer(seconds)  # pyright: ignore[reportPrivateUsage]
            await producer.send("t", "x", partition=0)

    with Cluster({"t": 1}) as cluster:
        run(main, new_loop)


@LOOPS
def test_connections_have_the_options_that_are_set(new_loop: Callable[[], Any]) -> None:
    async def main() -> None:
        settings: Settings = {
            "broker_address_family": "v4",
            "socket_send_buffer_bytes": 20_000,
            "socket_receive_buffer_bytes": 10_000,
        }
        if sys.platform == "linux":
            settings["socket_tcp_user_timeout_ms"] = 7_500
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, **settings) as producer:
            await producer.send("t", "x", partition=0)
            for connection in connections_of(producer):
                transport = connection._transport  # pyright: ignore[reportPrivateUsage]
                assert transport is not None
                sock = transport.get_extra_info("socket")
                if sys.platform == "linux":  # which reports twice the size that was set, for its own use (socket(7))
                    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 40_000
                    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 20_000
                    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7_500

    with Cluster({"t": 1}) as cluster:
        run(main, new_loop)


@LOOPS
def test_addresses_of_another_family_are_not_tried(new_loop: Callable[[], Any]) -> None:
    async def main() -> None:
        servers = cluster.bootstrap_servers
        producer = Producer(
            bootstrap_servers=servers, broker_address_family="v6", request_timeout_ms=300, delivery_timeout_ms=300
        )
        with pytest.raises(SendError, match=r"broker\.address\.family"):
            await producer.send("t", "x", partition=0)
        await producer.close()

    with Cluster({"t": 1}) as cluster:
        run(main, new_loop)


@LOOPS
def test_connections_are_kept_alive(new_loop: Callable[[], Any]) -> None:
    """As by Java's client, so that a NAT gateway or firewall forgets no idle connection unnoticed."""

    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers) as producer:
            await producer.send("t", "x", partition=0)
            for connection in connections_of(producer):
                transport = connection._transport  # pyright: ignore[reportPrivateUsage]
                assert transport is not None
                assert transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0

    with Cluster({"t": 1}) as cluster:
        run(main, new_loop)


class HalfClosing(Proxy):
    """A port that, once the producer's socket is full, ends its own side of the connection and reads no more."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.has_broken:
            await super()._serve(reader, writer)
            return
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", self.port)
        answers = asyncio.ensure_future(self._copy(onward_reader, writer))
        while data := await reader.read(1 << 16):
            if len(data) >= 10_000:
                await self.opened.wait()
                self.has_broken = True
                writer.write_eof()
                await self.ended.wait()
                break
            onward.write(data)
        onward.close()
        await answers

    async def run(self, main: Callable[[], Awaitable[None]]) -> None:
        self.ended = asyncio.Event()

        async def ending() -> None:
            await main()
            self.ended.set()

        await super().run(ending)


@LOOPS
def test_a_peer_that_ends_its_side_while_the_socket_is_full_is_left_at_once(new_loop: Callable[[], Any]) -> None:
    async def main() -> None:
        proxy = HalfClosing(cluster)

        async def publish() -> None:
            producer = Producer(
                bootstrap_servers=cluster.bootstrap_servers,
                buffer_memory=1 << 25,
                request_timeout_ms=HOURS,  # of which no test waits for the end
                delivery_timeout_ms=2 * HOURS,
            )
            try:
                await publish_all(producer, 10)
            finally:
                await producer.close_at_once()

        await proxy.run(publish)
        assert proxy.overflows > 0 and proxy.has_broken

    with Cluster({"t": 1}) as cluster:
        run(main, new_loop)
        assert numbers(cluster, 10) == list(range(10))


@LOOPS
def test_what_a_closing_transport_drops_is_not_reported_as_written(new_loop: Callable[[], Any]) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers) as producer:
            await producer.send("t", "a", partition=0)
            for connection in connections_of(producer):
                transport = connection._transport  # pyright: ignore[reportPrivateUsage]
                assert transport is not None
                transport.abort()
                with (
                    mock.patch.object(connection, "_report_overflow") as overflow,
                    mock.patch.object(connection, "_report_writes") as writes,
                    mock.patch.object(connection, "_reports_writes", True),
                ):
                    connection.write_overflow(b"x")
                    connection.transmit(b"x", 1)
                assert not overflow.called and not writes.called
            assert (await producer.send("t", "b", partition=0)).offset == 1

    with Cluster({"t": 1}) as cluster:
        run(main, new_loop)
