"""A batch that several threads use."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable

import pytest

from kafka_batch import BatchBufferOverflowError, KafkaBatch


def noise(size: int) -> list[bytes]:
    state, values = 1, []
    for _ in range(size // 64):
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        values.append((f"{state:016x}" * 4).encode())
    return values


def run(*functions: Callable[[], object]) -> None:
    errors: list[BaseException] = []

    def guarded(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_every_method_waits_or_answers_while_a_thread_seals() -> None:
    batch = KafkaBatch(batch_size=4 << 20, max_message_bytes=4 << 20, compression_type="gzip:9")
    assert batch.fill_from(noise(1 << 20)) > 10_000
    count, full, other = len(batch), batch.size(), KafkaBatch("x")
    mark = other.mark()
    sealing = threading.Event()
    seen: list[tuple[int, int]] = []

    def seal() -> None:
        sealing.set()
        batch.seal()

    def look() -> None:
        sealing.wait()
        while True:
            seen.append((batch.size(), batch.record_count()))
            repr(batch)
            batch.room()
            batch.closed()
            batch._is_slow_to_seal()
            if seen[-1][0] != full:
                break
        assert batch.append("late") is None
        with pytest.raises(BatchBufferOverflowError):
            batch.extend("late")
        other.rollback(mark)

    run(seal, look, look, lambda: (sealing.wait(), batch.seal()))
    assert {size for size, _ in seen} <= {full, batch.size()}
    assert {records for _, records in seen} == {count}
    assert len(list(batch)) == count


def test_threads_append_to_one_batch() -> None:
    batch = KafkaBatch(batch_size=16 << 20, max_message_bytes=16 << 20)
    each, threads = 2000, 4

    def append(name: int) -> None:
        for n in range(0, each, 4):
            batch.append(f"{name} {n}")
            batch.extend(f"{name} {n + 1}", f"{name} {n + 2}")
            batch.try_extend(f"{name} {n + 3}")

    run(*[lambda name=name: append(name) for name in range(threads)])  # type: ignore[misc]
    by_thread: dict[bytes, list[int]] = {}
    for record in batch:
        assert record.value is not None
        name, n = record.value.split()
        by_thread.setdefault(name, []).append(int(n))
    assert len(by_thread) == threads
    assert all(numbers == list(range(each)) for numbers in by_thread.values())


def test_threads_get_the_metadata_of_their_own_records() -> None:
    batch = KafkaBatch(batch_size=1 << 20)
    offsets: list[int] = []

    def append(size: int) -> None:
        for _ in range(2000):
            metadata = batch.append(b"x" * size)
            assert metadata is not None and metadata.size in (size + 7, size + 8, size + 9), "another thread's record"
            offsets.append(metadata.offset)

    run(lambda: append(0), lambda: append(20), lambda: append(40))
    assert sorted(offsets) == list(range(6000))


def test_try_extend_removes_no_record_of_another_thread() -> None:
    batch = KafkaBatch(batch_size=1 << 20)
    too_many = [b"x" * 1000] * 2000
    stop = threading.Event()

    def fail() -> None:
        while not stop.is_set():
            with pytest.raises(BatchBufferOverflowError):
                batch.try_extend(*too_many)

    def append() -> None:
        try:
            for n in range(500):
                assert batch.append(f"{n}") is not None
        finally:
            stop.set()

    run(fail, append)
    assert [record.value for record in batch] == [f"{n}".encode() for n in range(500)]


def test_one_of_many_threads_claims_the_batch() -> None:
    batch = KafkaBatch(*noise(1 << 16), batch_size=1 << 20, compression_type="gzip")
    claimed: list[object] = []

    def claim() -> None:
        try:
            claimed.append(batch._builder(idempotent=False, transactional=False))
        except Exception as error:
            assert type(error).__name__ == "BatchSentError"

    run(*[claim] * 8)
    assert len(claimed) == 1


def test_an_encoder_may_use_the_batch_that_it_fills() -> None:
    batch = KafkaBatch(batch_size=1000)

    class Peeks(dict[str, int]):
        def items(self):  # type: ignore[no-untyped-def]
            batch.append("from inside")
            return super().items()

    batch.extend("a", headers=Peeks())
    batch.append("b", headers=Peeks())

    class Sequence(list[object]):
        pass

    assert batch.fill_from(Sequence(["c"])) == 1
    assert batch.record_count() >= 3


def test_a_finalizer_may_use_the_batch() -> None:
    batch = KafkaBatch(batch_size=1 << 20)

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            batch.size()

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for n in range(200):
            Cycle()
            batch.append(f"{n}", headers=[("a", "1")], key="k")
            batch.extend("x", {"y": n}, headers={"a": "1"})
            list(batch)
            batch.copy().split(4096)
            with pytest.raises(BatchBufferOverflowError):
                KafkaBatch(batch_size=100).extend(*["z" * 60] * 2)
    finally:
        gc.set_threshold(*threshold)
    assert len(batch) == 600


@pytest.mark.skipif(not hasattr(sys, "_is_gil_enabled"), reason="this interpreter has a global lock")
def test_the_module_does_not_bring_the_global_lock_back() -> None:
    import sysconfig

    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        assert not sys._is_gil_enabled()  # type: ignore[attr-defined]
