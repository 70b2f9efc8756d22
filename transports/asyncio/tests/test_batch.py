"""Filling a batch, one record or several."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kafka_batch import (
    AppendError,
    BatchBufferOverflowError,
    BatchSealedError,
    KafkaBatch,
    KafkaBatchError,
    Message,
    RecordMetadata,
    RollbackError,
    SealError,
)

NOW = 1_734_300_000_000


def values(batch: KafkaBatch) -> list[bytes | None]:
    return [record.value for record in batch]


def test_the_lines_of_the_issue() -> None:
    batch = KafkaBatch(
        "a", b"b", {"c": 1}, None,
        timestamp_ms=NOW, headers={"h": "1"}, reply_to="replies", correlation_id="id",
        batch_size=16 * 1024, compression_type=None, api_version="auto", is_transactional=False,
    )  # fmt: skip
    assert values(batch) == [b"a", b"b", b'{"c":1}', b""]
    assert [record.headers[0] for record in batch][0] == ("content-type", b"text/plain")
    assert [dict(record.headers).get("content-type") for record in batch] == [
        b"text/plain", None, b"application/json", None,
    ]  # fmt: skip
    for record in batch:
        assert record.timestamp == NOW
        assert dict(record.headers).items() >= {"correlation_id": b"id", "reply_to": b"replies", "h": b"1"}.items()
    metadata = batch.append("hello", timestamp_ms=None, headers={"x": "y"}, reply_to="", correlation_id=None)
    assert metadata is not None
    assert (metadata.offset, metadata.crc) == (4, None)
    small = KafkaBatch(batch_size=300)
    while small.append("x" * 50) is not None:
        pass
    assert len(small) == 2
    assert small.append("x" * 50) is None
    assert small.append(b"") is not None, "a smaller record still fits"
    with pytest.raises(BatchBufferOverflowError) as overflow:
        KafkaBatch(batch_size=300).extend(*["x" * 50] * 10)
    assert overflow.value.message_position == 2
    assert (overflow.value.reason, overflow.value.limit) == ("batch_size", 300)
    assert overflow.value.needed > overflow.value.available
    assert isinstance(overflow.value, KafkaBatchError)


def test_append_as_aiokafka_has_it() -> None:
    batch = KafkaBatch()
    headers = [("h", b"1"), ("h", None), ("e", b""), ("t", "text")]
    metadata = batch.append(timestamp=NOW, key=b"k", value=b"v", headers=headers)
    assert metadata is not None
    assert (metadata.offset, metadata.timestamp) == (0, NOW)
    batch.append(timestamp=None, key=None, value=None)
    batch.append(key="text", value=bytearray(b"1"))
    batch.append(key=memoryview(b"k"), value=memoryview(b"123")[::2])
    first, tombstone, text, view = batch
    assert (first.key, first.value) == (b"k", b"v")
    assert first.headers == (("h", b"1"), ("h", None), ("e", b""), ("t", b"text"))
    assert (tombstone.key, tombstone.value, tombstone.headers) == (None, None, ())
    assert (text.key, text.value) == (b"text", b"1")
    assert (view.key, view.value) == (b"k", b"13")


@pytest.mark.parametrize("arguments", [{}, {"key": b"k"}, {"message": "m", "value": b"v"}])
def test_a_message_or_a_value(arguments: dict[str, object]) -> None:
    with pytest.raises(TypeError, match=r"append\(\) takes a message or a value"):
        KafkaBatch().append(**arguments)  # type: ignore[call-overload]


@pytest.mark.parametrize("method", ["extend", "try_extend"])
def test_a_keyword_that_does_not_exist_is_refused(method: str) -> None:
    batch = KafkaBatch()
    with pytest.raises(TypeError, match=rf"{method}\(\) got an unexpected keyword argument 'header'"):
        getattr(batch, method)("a", header={"a": "b"})
    assert len(batch) == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"value": "text"}, "value must be bytes-like or None"),
        ({"value": 1}, "value must be bytes-like or None .* not int"),
        ({"message": "m", "key": 1}, "key must be bytes-like, str or None, not int"),
        ({"message": "m", "headers": {"a": 1}}, "the value of a header must be bytes-like, str or None, not int"),
        ({"message": "m", "headers": {1: "a"}}, "the name of a header must be str, not int"),
        ({"message": "m", "headers": "ab"}, "headers must be a mapping or pairs"),
        ({"message": "m", "timestamp_ms": 1.5}, "float"),
    ],
)
def test_wrong_types(arguments: dict[str, object], text: str) -> None:
    batch = KafkaBatch()
    with pytest.raises(TypeError, match=text):
        batch.append(**arguments)  # type: ignore[call-overload]
    assert len(batch) == 0


@pytest.mark.parametrize("settings", [{"compression_type": "lzo"}, {"api_version": "new"}, {"boundary": "none"}])
def test_wrong_settings(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings.values()))):
        KafkaBatch(**settings)  # type: ignore[arg-type]


def test_none_with_a_key_is_a_tombstone() -> None:
    batch = KafkaBatch(None)
    batch.append(None, key="k")
    batch.extend(None, Message(None, key=b"own"), Message(None), key="k")
    assert [(record.key, record.value) for record in batch] == [
        (None, b""), (b"k", None), (b"k", None), (b"own", None), (b"k", None),
    ]  # fmt: skip


def test_messages_with_properties_of_their_own() -> None:
    own = Message(
        {"n": 1}, key="k", headers=[("a", "2"), ("c", None)], timestamp_ms=5, correlation_id="own", reply_to="own-replies"
    )
    batch = KafkaBatch()
    batch.extend("first", own, headers={"a": "1", "b": "1"}, correlation_id="call", timestamp_ms=NOW, key="call")
    first, second = batch
    assert (first.key, first.timestamp) == (b"call", NOW)
    assert (second.key, second.timestamp, second.value) == (b"k", 5, b'{"n":1}')
    assert second.headers == (
        ("content-type", b"application/json"), ("correlation_id", b"own"), ("reply_to", b"own-replies"),
        ("a", b"2"), ("b", b"1"), ("c", None),
    )  # fmt: skip


def test_a_message_that_cannot_be_encoded() -> None:
    batch = KafkaBatch("kept")
    unknown = object()
    with pytest.raises(AppendError, match="the message at position 1 could not be encoded") as error:
        batch.extend("also kept", unknown, "never")
    assert error.value.message_position == 1
    assert error.value.__cause__ is not None
    assert values(batch) == [b"kept", b"also kept"]
    with pytest.raises(AppendError):
        batch.try_extend("not kept", unknown)
    with pytest.raises(AppendError) as error:
        batch.append(unknown)
    assert error.value.message_position is None
    with pytest.raises(AppendError) as error:
        batch.append("\ud800")
    assert isinstance(error.value.__cause__, UnicodeEncodeError)
    assert len(batch) == 2


def test_a_record_that_no_batch_can_hold() -> None:
    batch = KafkaBatch(max_message_bytes=1000)
    with pytest.raises(AppendError, match="message.max.bytes"):
        batch.append(b"x" * 1000)
    with pytest.raises(AppendError) as error:
        batch.extend("a", b"x" * 1000)
    assert error.value.message_position == 1
    assert values(batch) == [b"a"]


def test_try_extend_is_all_or_nothing() -> None:
    batch = KafkaBatch("first", batch_size=300)
    mark = batch.mark()
    before = (batch.size(), values(batch))
    with pytest.raises(BatchBufferOverflowError) as overflow:
        batch.try_extend(*["x" * 50] * 10)
    assert overflow.value.message_position == 2
    assert (batch.size(), values(batch)) == before
    batch.try_extend("second")
    batch.rollback(mark)
    assert (batch.size(), values(batch)) == before


def test_fill_from_takes_what_fits_of_any_sequence() -> None:
    messages: list[object] = [f"message {n}" for n in range(5000)]
    taken, batches = 0, 0
    batch = KafkaBatch()
    records = []
    while taken < len(messages):
        taken += batch.fill_from(messages, taken)
        records += values(batch)
        batch, batches = batch.next_batch(), batches + 1
    assert records == [str(message).encode() for message in messages]
    assert batches > 5
    assert KafkaBatch().fill_from(tuple(messages[:3]), 1) == 2
    assert KafkaBatch().fill_from(range(3)) == 3
    assert KafkaBatch().fill_from([], 7) == 0
    with pytest.raises(AppendError) as error:
        KafkaBatch().fill_from(["a", "b", object()], 1)
    assert error.value.message_position == 2
    for wrong in ("text", b"bytes", iter([]), {1}):
        with pytest.raises(TypeError, match="takes a list"):
            KafkaBatch().fill_from(wrong)  # type: ignore[arg-type]


def test_room_cost_and_fits_agree_with_append() -> None:
    batch = KafkaBatch(batch_size=400)
    batch.append("first")
    for message in ["x" * 40, b"", None, {"a": 1}, Message("m", key="k", headers={"h": "v"})]:
        cost, size = batch.cost(message), batch.size()
        assert batch.fits(message)
        batch.append(message)
        assert batch.size() == size + cost
    longest = next(n for n in range(400) if not batch.fits(value=b"x" * n, key=b"k")) - 1
    room = batch.room()
    assert batch.cost(value=b"x" * longest, key=b"k") == room
    assert batch.append(value=b"x" * longest, key=b"k") is not None
    assert batch.room() == 0
    assert batch.size() == 400


def test_mark_and_rollback() -> None:
    batch = KafkaBatch("a")
    mark = batch.mark()
    later = KafkaBatch("a")
    batch.extend("b", "c")
    removed = batch.mark()
    batch.rollback(mark)
    assert values(batch) == [b"a"]
    with pytest.raises(RollbackError, match="removed"):
        batch.rollback(removed)
    with pytest.raises(RollbackError, match="another batch"):
        later.rollback(mark)
    batch.close()
    with pytest.raises(RollbackError, match="closed"):
        batch.rollback(mark)


def test_close_and_seal() -> None:
    batch = KafkaBatch("a")
    batch.close()
    assert batch.closed()
    assert batch.append("b") is None
    assert not batch.fits("b")
    assert batch.room() == 0
    with pytest.raises(BatchBufferOverflowError) as overflow:
        batch.extend("b")
    assert overflow.value.reason == "closed"
    batch = KafkaBatch("a")
    assert batch.seal() == batch.size() == batch.seal()
    assert batch.closed()
    assert values(batch) == [b"a"]
    assert batch.append("b") is None
    assert batch.fill_from(["b"]) == 0
    for call in (batch.extend, batch.try_extend):
        with pytest.raises(BatchBufferOverflowError) as overflow:
            call("b")
        assert (overflow.value.reason, overflow.value.message_position) == ("closed", 0)
    with pytest.raises(BatchSealedError):
        batch.mark()
    copy = batch.copy()
    assert copy.append("b") is not None
    assert values(copy) == [b"a", b"b"]
    assert values(batch) == [b"a"]


def test_a_batch_that_cannot_be_sealed_stays_open() -> None:
    with pytest.raises(SealError, match="no records") as error:
        KafkaBatch().seal()
    assert error.value.reason == "empty"
    batch = KafkaBatch(batch_size=8000, max_message_bytes=1000, compression_type="gzip")
    noise = [bytes((n * n * 31 + i * i * 17) % 251 for i in range(100)) for n in range(40)]
    assert batch.fill_from(noise) == 40
    with pytest.raises(SealError, match="split it") as error:
        batch.seal()
    too_large = error.value
    assert too_large.size is not None
    assert (too_large.reason, too_large.record_count, too_large.limit) == ("too_large", 40, 1000)
    assert too_large.size > 1000
    assert batch.append("one more") is not None
    split = batch.split(1000)
    assert split.too_large == []
    assert [value for _, part in split.parts for value in values(part)] == [*noise, b"one more"]
    assert all(part.size() <= 1000 for _, part in split.parts)
    positions = [position for position, _ in split.parts]
    assert positions[0] == 0
    assert positions == [sum(len(part) for _, part in split.parts[:n]) for n in range(len(positions))]


def test_split_names_the_records_that_are_too_large() -> None:
    batch = KafkaBatch("small", b"x" * 500, "small too")
    split = batch.split(200)
    [(position, size, alone)] = split.too_large
    assert position == 1
    assert size > 500
    assert values(alone) == [b"x" * 500]
    assert [value for _, part in split.parts for value in values(part)] == [b"small", b"small too"]
    assert len(batch) == 3


def test_next_batch_has_the_same_settings() -> None:
    batch = KafkaBatch("a", batch_size=300, is_transactional=True)
    for state in ("open", "sealed"):
        assert state in repr(batch)
        after = batch.next_batch()
        assert (len(after), after.is_transactional, after.room()) == (0, True, 300 - 61)
        batch.seal()


def test_the_boundary_of_aiokafka() -> None:
    exact = KafkaBatch().cost(b"x" * 50) + 61 + KafkaBatch().cost(b"x" * 50)
    for boundary, expected in (("inclusive", 2), ("aiokafka", 1)):
        batch = KafkaBatch(batch_size=exact, boundary=boundary)  # type: ignore[arg-type]
        assert batch.fill_from([b"x" * 50] * 5) == expected


def test_old_brokers_have_no_headers() -> None:
    batch = KafkaBatch(b"a", api_version="0.10.2", compression_type="gzip")
    metadata = batch.append(b"b", timestamp_ms=NOW)
    assert metadata is not None
    assert metadata.crc is not None
    with pytest.raises(AppendError, match="header"):
        batch.append("text has a content type")
    with pytest.raises(ValueError, match="zstd"):
        KafkaBatch(api_version="0.10.2", compression_type="zstd")


octets = st.binary(max_size=40)
headers = st.lists(st.tuples(st.text(max_size=8), st.none() | octets), max_size=4)
timestamps = st.integers(min_value=-(2**62), max_value=2**62)
codecs = st.sampled_from([None, "gzip", "snappy", "lz4", "zstd"])


busy = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be


@busy
@given(st.lists(st.tuples(st.none() | octets, st.none() | octets, headers, timestamps)), codecs)
def test_records_are_read_back_as_they_were_appended(
    records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]], int]], codec: str | None
) -> None:
    batch = KafkaBatch(batch_size=1 << 20, compression_type=codec)
    for key, value, fields, timestamp in records:
        assert batch.append(key=key, value=value, headers=fields, timestamp=timestamp) is not None
    if records:
        batch.seal()
    read = [(record.key, record.value, list(record.headers), record.timestamp) for record in batch]
    assert read == records
    assert [record.offset for record in batch] == list(range(len(records)))


messages = st.one_of(octets, st.text(max_size=20), st.none(), st.integers(), st.builds(Message, octets, key=octets))


@busy
@given(st.lists(messages, max_size=30), st.integers(min_value=70, max_value=500), st.none() | st.just("k"))
def test_every_way_to_fill_makes_the_same_batch(given_messages: list[object], size: int, key: str | None) -> None:
    one_by_one = KafkaBatch(batch_size=size)
    for message in given_messages:
        if one_by_one.append(message, NOW, {"h": "v"}, key=key) is None:
            break
    taken = len(one_by_one)
    expected = [(record.key, record.value, record.headers, record.timestamp) for record in one_by_one]
    filled, extended, tried = KafkaBatch(batch_size=size), KafkaBatch(batch_size=size), KafkaBatch(batch_size=size)
    assert filled.fill_from(given_messages, timestamp_ms=NOW, headers={"h": "v"}, key=key) == taken
    for batch, call in ((extended, extended.extend), (tried, tried.try_extend)):
        try:
            call(*given_messages, timestamp_ms=NOW, headers=[("h", "v")], key=key)
        except BatchBufferOverflowError as overflow:
            assert overflow.message_position == taken
        else:
            assert taken == len(given_messages)
        kept = 0 if batch is tried and taken < len(given_messages) else taken
        assert len(batch) == kept
    for batch in (filled, extended):
        assert batch.size() == one_by_one.size()
        assert [(record.key, record.value, record.headers, record.timestamp) for record in batch] == expected


def test_metadata_that_is_kept_does_not_change() -> None:
    batch = KafkaBatch(batch_size=1 << 20)
    kept: list[tuple[int, RecordMetadata]] = []
    sizes: list[int] = []
    for number in range(500):
        metadata = batch.append(b"x" * number, timestamp_ms=1000 + number)
        assert metadata is not None and metadata.offset == number
        sizes.append(metadata.size)
        if number % 3 == 0:
            kept.append((number, metadata))
        if number % 7 == 0:
            del metadata
    assert [(metadata.offset, metadata.size, metadata.timestamp) for _, metadata in kept] == [
        (number, sizes[number], 1000 + number) for number, _ in kept
    ]
    assert kept[0][1] != kept[1][1] and len({id(metadata) for _, metadata in kept}) == len(kept)
