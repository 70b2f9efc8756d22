"""A Kafka cluster in the test's own process: no broker, no Java, no Docker.

It stores what producers send, checks it as Kafka does, and returns it to consumers that assign their partitions. It has
transactions: `Cluster.committed_records` returns what consumers with ``isolation_level="read_committed"`` see, and
`Cluster.committed_offsets` the offsets of a group. It has no members of consumer groups. As a pytest fixture::

    @pytest.fixture
    def kafka():
        with Cluster({"orders": 3}) as cluster:
            yield cluster

    def test_orders(kafka):
        asyncio.run(publish_orders(kafka.bootstrap_servers))
        assert [record.value for record in kafka.wait_for_records(1, "orders", 0)] == [b"order 1"]
        assert kafka.violations() == []
"""

from ._native import Cluster

__all__ = ["Cluster"]
