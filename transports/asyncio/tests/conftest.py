"""What the tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kafka_batch.testing import Cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the tests that need a real broker out, unless there is one."""
    if "KAFKA_BATCH_BROKERS" in os.environ:
        return
    for item in items:
        if item.get_closest_marker("broker"):
            item.add_marker(pytest.mark.skip(reason="KAFKA_BATCH_BROKERS is not set"))


@pytest.fixture
def brokers() -> Iterator[str]:
    """Return the address of a broker: of a real one if there is one, and otherwise of a cluster in this process."""
    if "KAFKA_BATCH_BROKERS" in os.environ:
        yield os.environ["KAFKA_BATCH_BROKERS"]
        return
    with Cluster() as cluster:
        yield cluster.bootstrap_servers
        assert cluster.violations() == []
