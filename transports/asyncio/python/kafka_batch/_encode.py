"""Encoding of messages that are neither bytes, text nor ``None``. Called by the native part."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, cast

from ._types import Headers, Message, Octets

Parts = tuple[
    "bytes | None", "str | None", "Octets | str | None", "Headers | None", "int | None", "str | None", "str | None"
]

_to_json: Callable[[object], bytes] | None = None


def encode(message: object, has_key: bool) -> Parts:
    """Return value, content type, key, headers, timestamp, correlation id and reply topic of a message."""
    if isinstance(message, Message):
        value, content_type = _encode_value(message.value, has_key or message.key is not None)
        return (
            value,
            content_type if message.content_type is None else message.content_type,
            message.key,
            message.headers,
            message.timestamp_ms,
            message.correlation_id,
            message.reply_to,
        )
    # Without an import: if the message is FastStream's, FastStream is imported.
    response = sys.modules.get("faststream.response.response")
    if response is not None and isinstance(message, response.Response):
        body: Any = message
        key, timestamp_ms = getattr(body, "key", None), getattr(body, "timestamp_ms", None)
        value, content_type = _encode_value(body.body, has_key or key is not None)
        return value, content_type, key, body.headers or None, timestamp_ms, body.correlation_id, None
    value, content_type = _encode_value(message, has_key)
    return value, content_type, None, None, None, None, None


def _encode_value(value: object, has_key: bool) -> tuple[bytes | None, str | None]:
    if value is None:
        return (None if has_key else b""), None
    if isinstance(value, bytes):
        return value, None
    if isinstance(value, (bytearray, memoryview)):
        return bytes(cast(bytearray, value)), None
    if isinstance(value, str):
        return value.encode(), "text/plain"
    return to_json(value), "application/json"


def to_json(value: object) -> bytes:
    """Return compact JSON: by pydantic, if it is installed, and otherwise by the standard library."""
    global _to_json
    if _to_json is None:
        try:
            from pydantic_core import to_json as by_pydantic
        except ImportError:
            _to_json = _by_standard_library
        else:
            _to_json = by_pydantic
    return _to_json(value)


def _by_standard_library(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
