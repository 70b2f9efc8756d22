"""What the tests share."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the tests with a broker out, unless there is one."""
    if "KAFKA_BATCH_BROKERS" in os.environ:
        return
    for item in items:
        if item.get_closest_marker("broker"):
            item.add_marker(pytest.mark.skip(reason="KAFKA_BATCH_BROKERS is not set"))


@pytest.fixture
def brokers() -> str:
    """Return the address of a broker."""
    return os.environ["KAFKA_BATCH_BROKERS"]
