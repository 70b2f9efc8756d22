"""The settings of a producer, by their Kafka names with underscores. The table with all of them is in the Rust documentation."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Literal, TypedDict

from ._native import setting_names
from .errors import ConfigError


class Settings(TypedDict, total=False):
    """Settings of a `Producer`. Defaults are Kafka's. Texts are accepted for numbers, too."""

    client_id: str
    client_rack: str
    partitioner_rack_aware: bool
    acks: Literal["all", "1", "0", "-1", 1, 0, -1]
    enable_idempotence: bool
    enable_metrics_push: bool
    transactional_id: str
    transaction_timeout_ms: int
    max_in_flight_requests_per_connection: int
    request_timeout_ms: int
    delivery_timeout_ms: int
    retries: int
    linger_ms: int
    retry_backoff_ms: int
    retry_backoff_max_ms: int
    reconnect_backoff_ms: int
    reconnect_backoff_max_ms: int
    socket_connection_setup_timeout_ms: int
    broker_address_family: Literal["any", "v4", "v6"]
    socket_send_buffer_bytes: int
    socket_receive_buffer_bytes: int
    socket_tcp_user_timeout_ms: int
    connections_max_idle_ms: int
    metadata_max_age_ms: int
    metadata_max_idle_ms: int
    metadata_recovery_strategy: Literal["rebootstrap", "none"]
    metadata_recovery_rebootstrap_trigger_ms: int
    max_produce_requests_per_second: int
    max_request_size: int
    max_block_ms: int
    buffer_memory: int
    receive_message_max_bytes: int
    broker_version_fallback: str
    compression_type: Literal["none", "gzip", "snappy", "lz4", "zstd"]
    compression_level: int
    compression_gzip_level: int
    compression_zstd_level: int
    compression_lz4_level: int
    batch_size: int
    security_protocol: Literal[
        "plaintext", "ssl", "sasl_plaintext", "sasl_ssl", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"
    ]
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    sasl_username: str
    sasl_password: str


def to_kafka(settings: dict[str, object]) -> list[tuple[str, str]]:
    """Return settings as the native part takes them. What is ``None`` is left out. Raises `ConfigError` for other names."""
    known = [name.replace(".", "_") for name in setting_names()]
    for name in settings:
        if name not in known:
            similar = get_close_matches(name, known, 1)
            hint = f"; did you mean {similar[0]}?" if similar else ""
            raise ConfigError(f"there is no setting {name}{hint} (they have Kafka's names, with underscores)")
    return [(name.replace("_", "."), _text(value)) for name, value in settings.items() if value is not None]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
