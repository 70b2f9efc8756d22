"""The requests of a transactional producer, by hand. Each method returns the error code of the response, unless it says more."""

import struct
import time

from raw import Broker, Reader, array, batch, string

TRANSACTIONAL = 0x10


def compact(data):
    """A compact string or bytes of less than 127 bytes; None is null."""
    return b"\0" if data is None else bytes([len(data) + 1]) + data


def compact_long(data):
    size, out = len(data) + 1, bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(out) + bytes([size]) + data


class Producer:
    """One instance with a transactional id. `flexible` requests have a tag buffer behind the header, in both directions."""

    def __init__(self, address, id):
        self.broker, self.id = Broker(address), id
        self.producer_id, self.epoch = -1, -1
        while self._find(1, id) != 0:
            time.sleep(0.1)

    def _find(self, kind, key):
        reader = self.broker.request(10, 2, string(key) + bytes([kind]))
        reader.take("i")
        return reader.take("h")

    def _flexible(self, api, version, body):
        reader = self.broker.request(api, version, b"\0" + body)
        assert reader.take("b") == 0  # no tags
        return reader

    def init(self, current=(-1, -1)):
        """Repeats it while it is CONCURRENT_TRANSACTIONS. With `current`, a producer id and epoch, it is a recovery (KIP-360)."""
        for _ in range(200):
            body = compact(self.id.encode()) + struct.pack(">iqh", 60000, *current) + b"\0"
            reader = self._flexible(22, 4, body)
            reader.take("i")
            code, producer_id, epoch = reader.take("hqh")
            if code not in (14, 51):
                break
            time.sleep(0.05)
        if code == 0:
            self.producer_id, self.epoch = producer_id, epoch
        return code

    def add(self, topic):
        """AddPartitionsToTxn with partition 0; repeats it while it is CONCURRENT_TRANSACTIONS."""
        for _ in range(200):
            body = string(self.id) + struct.pack(">qh", self.producer_id, self.epoch)
            reader = self.broker.request(24, 2, body + array([string(topic) + array([struct.pack(">i", 0)])]))
            reader.take("i")
            code = reader.array(lambda: (reader.string(), reader.array(lambda: reader.take("ih"))))[0][1][0][1]
            if code != 51:
                break
            time.sleep(0.05)
        return code

    def batch(self, value, sequence):
        return batch([(b"k", value)], codec=TRANSACTIONAL, producer=(self.producer_id, self.epoch, sequence))

    def produce(self, topic, data, version=8):
        """Error code and base offset. From version 12 on the partition joins the transaction (KIP-890)."""
        if version == 8:
            entries = [struct.pack(">ii", 0, len(data)) + data]
            body = string(self.id) + struct.pack(">hi", -1, 30000) + array([string(topic) + array(entries)])
            reader = self.broker.request(0, 8, body)
            reader.take("i")
            reader.string()
            reader.take("ii")
            return reader.take("hq")
        body = compact(self.id.encode()) + struct.pack(">hi", -1, 30000) + b"\x02" + compact(topic.encode())
        body += b"\x02" + struct.pack(">i", 0) + compact_long(data) + b"\0\0\0"
        reader = self._flexible(0, 12, body)
        assert reader.take("b") == 2
        reader.bytes(reader.take("b") - 1)
        assert reader.take("b") == 2
        return reader.take("ihq")[1:]

    def end(self, commit, version=2):
        """Does not repeat it. From version 5 on the response has the identity of the next transaction."""
        identity = struct.pack(">qh?", self.producer_id, self.epoch, commit)
        if version == 2:
            reader = self.broker.request(26, 2, string(self.id) + identity)
            return reader.take("ih")[1]
        reader = self._flexible(26, 5, compact(self.id.encode()) + identity + b"\0")
        code, producer_id, epoch = reader.take("ihqh")[1:]
        if code == 0:
            self.producer_id, self.epoch = producer_id, epoch
        return code

    def commit_offset(self, group, topic, offset):
        """TxnOffsetCommit of partition 0, in a version that has the name of the group only."""
        while self._find(0, group) != 0:
            time.sleep(0.1)
        partition = struct.pack(">iqi", 0, offset, -1) + string("")
        body = string(self.id) + string(group) + struct.pack(">qh", self.producer_id, self.epoch)
        reader = self.broker.request(28, 2, body + array([string(topic) + array([partition])]))
        reader.take("i")
        return reader.array(lambda: (reader.string(), reader.array(lambda: reader.take("ih"))))[0][1][0][1]

    def add_group(self, group):
        body = string(self.id) + struct.pack(">qh", self.producer_id, self.epoch) + string(group)
        return self.broker.request(25, 2, body).take("ih")[1]


def visible(broker, topic, end):
    """Waits until a read_committed consumer gets everything before `end`. Returns whether it does so within 5 s."""
    for _ in range(100):
        if broker.end_offset(topic, committed=True) >= end:
            return True
        time.sleep(0.05)
    return False


def committed_values(broker, topic):
    """The values that a read_committed consumer reads from partition 0, which are all of one batch each."""
    body = struct.pack(">iiiibii", -1, 500, 1, 1 << 20, 1, 0, -1)
    body += array([string(topic) + array([struct.pack(">iiqqi", 0, -1, 0, -1, 1 << 20)])]) + array([]) + string("")
    reader = broker.request(1, 11, body)
    reader.take("ihi")
    reader.take("i")
    reader.string()
    reader.take("i")
    _, code, _, stable, _ = reader.take("ihqqq")
    assert code == 0, code
    aborted = reader.array(lambda: reader.take("qq"))
    reader.take("i")
    data, values, skipped = Reader(reader.bytes(reader.take("i"))), [], set()
    while data.left() > 0:
        base, size = data.take("qi")
        one = Reader(data.bytes(size))
        one.take("ibI")
        attributes, _, _, _, producer_id = one.take("hiqqq")
        one.take("hi")
        skipped.update(producer for producer, first in aborted if first == base)
        control = attributes & 0x20
        if control:
            skipped.discard(producer_id)
        elif producer_id not in skipped and base < stable:
            one.take("i")  # the number of records, 1
            one.bytes(5)  # length, attributes, timestamp delta, offset delta, length of the key
            one.bytes(1)  # the key
            values.append(one.bytes(one.take("b") // 2).decode())
    return values
