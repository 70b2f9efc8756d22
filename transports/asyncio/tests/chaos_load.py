"""The load of `tests/chaos.rs`, by this package: numbered records to a cluster whose leaders are killed and whose connections are cut.

`tests/chaos/program.rs` runs it, and describes its arguments and what it prints.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import struct
import sys

from kafka_batch import DeliveryError, KafkaBatchError, Producer

TICK = 0.01
"""The seconds between two looks at whether there is something to send."""
LONG_TIMEOUT, SHORT_TIMEOUT = 4, 2
"""The numbers of tasks that use the producer with the long timeout, and the other one. Of the former, the last sends single messages."""

_MASK = (1 << 64) - 1


def mix(number: int) -> int:
    """Return the number as `tests/chaos/random.rs` mixes it."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ number >> 27) * 0x94D049BB133111EB & _MASK
    return number ^ number >> 31


def value(task: int, number: int) -> bytes:
    """Return the value of a task's record with this number, as `tests/chaos/record.rs` checks it."""
    drawn = mix(number ^ task << 48)
    return struct.pack(">HQ", task, number) + bytes([drawn >> 56]) * (drawn % 150)


class Load:
    """One task, with its own numbers."""

    def __init__(self, task: int, producer: Producer, topic: str, partitions: int, seed: int) -> None:
        """Create the task."""
        self.task, self.producer, self.topic, self.partitions = task, producer, topic, partitions
        self.random = random.Random(seed * 1000 + task)
        self.next = 0
        self.on_their_way: set[asyncio.Task[None]] = set()

    async def run(self, rate: float, stop: asyncio.Event) -> None:
        """Offer so many records a second, until the event is set; then wait for the outcomes."""
        loop = asyncio.get_running_loop()
        owed, at = 0.0, loop.time()
        while not stop.is_set():
            await asyncio.sleep(TICK)
            now = loop.time()
            owed, at = owed + rate * min(now - at, 1.0), now
            while owed > 0 and not stop.is_set():
                owed -= await self.offer()
        if self.on_their_way:
            await asyncio.gather(*self.on_their_way)

    async def offer(self) -> int:
        """Begin to send some records, and return how many."""
        draw = self.random.randrange
        count = 200 + draw(400) if draw(16) == 0 else 1 + draw(40)
        partition = draw(self.partitions)
        first, self.next = self.next, self.next + count
        values = [value(self.task, number) for number in range(first, self.next)]
        if self.task == LONG_TIMEOUT - 1:
            for number, message in enumerate(values, first):
                self.begin(self.one(partition, number, message))
            return count
        batch = self.producer.batch()
        assert batch.fill_from(values) == count
        try:
            delivery = await self.producer.send_batch(batch, self.topic, partition=partition)
        except KafkaBatchError as error:
            self.report(partition, first, count, "not_written", f"rejected: {error}")
        else:
            self.begin(self.outcome(partition, first, count, delivery))
        return count

    def begin(self, work: object) -> None:
        """Run something beside the task."""
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self.on_their_way.add(task)
        task.add_done_callback(self.on_their_way.discard)

    async def one(self, partition: int, number: int, message: bytes) -> None:
        """Send one message."""
        try:
            delivery = await self.producer.send(self.topic, message, partition=partition)
        except DeliveryError as error:
            self.report(partition, number, 1, str(error.fate), str(error))
        except KafkaBatchError as error:
            self.report(partition, number, 1, "not_written", f"rejected: {error}")
        else:
            self.report(partition, number, 1, "written", str(delivery.offset))

    async def outcome(self, partition: int, first: int, count: int, delivery: asyncio.Future[object]) -> None:
        """Wait for the outcome of a batch."""
        try:
            found = await delivery
        except DeliveryError as error:
            self.report(partition, first, count, str(error.fate), str(error))
        else:
            self.report(partition, first, count, "written", str(found.offset(0)))  # type: ignore[attr-defined]

    def report(self, partition: int, first: int, count: int, outcome: str, rest: str) -> None:
        """Print an outcome. Reasons are counted, so those of failures are without their numbers."""
        if outcome != "written":
            rest = re.sub(r"\d+", "#", rest.replace("\n", " "))
        print(self.task, partition, first, count, outcome, rest, flush=True)


async def main(servers: str, topic: str, partitions: int, rate: int, seed: int) -> None:
    """Publish until the standard input ends."""
    common = {"reconnect_backoff_max_ms": 200, "retry_backoff_max_ms": 200, "socket_connection_setup_timeout_ms": 2000}
    long = {**common, "request_timeout_ms": 3000, "delivery_timeout_ms": 120_000, "batch_size": 1 << 20}
    short = {**common, "request_timeout_ms": 1000, "delivery_timeout_ms": 1500, "batch_size": 1 << 20}
    logging.getLogger("kafka_batch").addHandler(logging.NullHandler())
    stop = asyncio.Event()
    async with (
        Producer(bootstrap_servers=servers, **long) as patient,  # type: ignore[arg-type]
        Producer(bootstrap_servers=servers, **short) as impatient,  # type: ignore[arg-type]
    ):
        for attempt in range(20):  # brokers that have just started may take longer than request.timeout.ms
            try:
                await patient.partition_count(topic)
                break
            except KafkaBatchError:
                if attempt == 19:
                    raise
        loads = [
            Load(task, patient if task < LONG_TIMEOUT else impatient, topic, partitions, seed)
            for task in range(LONG_TIMEOUT + SHORT_TIMEOUT)
        ]
        running = [asyncio.create_task(load.run(rate / len(loads), stop)) for load in loads]
        await asyncio.to_thread(sys.stdin.read)
        stop.set()
        await asyncio.gather(*running)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])))
