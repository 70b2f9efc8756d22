"""The producer over TLS: a proxy in front of the cluster encrypts, and connections are led to it."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from kafka_batch import ConfigError, KafkaBatch, Producer, SendError
from kafka_batch._driver import Connection
from kafka_batch.testing import Cluster

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make certificates")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the files of a certificate for 127.0.0.1, which is its own authority, and of its key."""
    folder = tmp_path_factory.mktemp("tls")
    pem, key = folder / "certificate.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=broker"
    extensions = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *extensions, "-keyout", key, "-out", pem], check=True, capture_output=True)
    return pem, key


def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])


async def encrypted(port: int, certificate: tuple[Path, Path]) -> asyncio.Server:
    """Start a proxy to a port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, onward), copy(onward_reader, writer), return_exceptions=True)

    return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)


def run(
    cluster: Cluster, certificate: tuple[Path, Path], main: Callable[[], Awaitable[Any]], new_loop: Callable[[], Any]
) -> None:
    """Run a coroutine in an event loop, where producers meet a TLS proxy in place of each broker."""
    ports = [int(server.rpartition(":")[2]) for server in cluster.bootstrap_servers.split(",")]
    proxies: dict[int, int] = {}
    attempt = Connection._attempt  # pyright: ignore[reportPrivateUsage]

    async def redirected(self: Connection, host: str, address: str, port: int) -> None:
        await attempt(self, host, address, proxies[port])

    async def all_of_it() -> None:
        servers = {port: await encrypted(port, certificate) for port in ports}
        proxies.update({port: server.sockets[0].getsockname()[1] for port, server in servers.items()})
        try:
            await asyncio.wait_for(main(), 60)
        finally:
            for server in servers.values():
                server.close()
            # The ends of the producer's connections pass through the proxies.
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.001)

    loop = new_loop()
    try:
        with mock.patch.object(Connection, "_attempt", redirected):
            loop.run_until_complete(all_of_it())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def of_uvloop() -> Any:
    return pytest.importorskip("uvloop").new_event_loop()


LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, of_uvloop])


@LOOPS
def test_an_ssl_context_encrypts(certificate: tuple[Path, Path], new_loop: Any) -> None:
    users = {"me": "secret"}
    settings: Any = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_username": "me", "sasl_password": "secret"}

    async def main() -> None:
        for acks in ("all", "0"):
            async with Producer(
                bootstrap_servers=cluster.bootstrap_servers, ssl_context=trusting(certificate), acks=acks, **settings
            ) as producer:
                await asyncio.gather(*[producer.send("t", str(n), partition=0) for n in range(100)])
                big = KafkaBatch("x" * 900_000)
                await producer.publish_batch(batch=big, topic="t", partition=0)

    with Cluster({"t": 1}, scram_users=users) as cluster:
        run(cluster, certificate, main, new_loop)
        sizes = [len(record.value or b"") for record in cluster.wait_for_records(202, "t")]
        assert sizes == ([1] * 10 + [2] * 90 + [900_000]) * 2
        assert cluster.violations() == []


@LOOPS
def test_a_certificate_that_is_not_trusted_is_an_error_at_once(certificate: tuple[Path, Path], new_loop: Any) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, security_protocol="ssl") as producer:
            with pytest.raises(SendError, match="trust"):
                await producer.send("t", "x")

    with Cluster({"t": 1}) as cluster:
        run(cluster, certificate, main, new_loop)


def test_one_side_without_tls_is_named(certificate: tuple[Path, Path]) -> None:
    async def to_plaintext() -> None:
        async with Producer(
            bootstrap_servers=cluster.bootstrap_servers, ssl_context=trusting(certificate), request_timeout_ms=500
        ) as producer:
            with pytest.raises(SendError, match="(?i)tls|ssl"):
                await producer.send("t", "x")

    async def to_tls() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, request_timeout_ms=500) as producer:
            with pytest.raises(SendError, match="security.protocol"):
                await producer.send("t", "x")

    with Cluster({"t": 1}) as cluster:
        asyncio.run(to_plaintext())
        run(cluster, certificate, to_tls, asyncio.new_event_loop)


def test_a_context_and_a_protocol_without_tls_are_a_conflict(certificate: tuple[Path, Path]) -> None:
    for servers, settings in [("a:1", {"security_protocol": "plaintext"}), ("plaintext://a:1", {})]:
        with pytest.raises(ConfigError, match="without TLS"):
            Producer(bootstrap_servers=servers, ssl_context=trusting(certificate), **settings)  # type: ignore[arg-type]
    Producer(bootstrap_servers="ssl://a:1", ssl_context=trusting(certificate))
