"""Kafka's protocol by hand: the few requests that the findings send.

As a program, `raw.py wait HOST:PORT PID` waits until a broker answers, or its process has ended.
"""

import os
import socket
import struct
import sys
import time
import zlib


def _table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


_CRC32C = tuple(_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(number):
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _nullable(data):
    return varint(-1) if data is None else varint(len(data)) + data


def records(pairs, timestamps=None):
    """Key and value pairs as the records of a batch of magic 2; each timestamp is relative to the first."""
    out = b""
    for index, (key, value) in enumerate(pairs):
        delta = timestamps[index] - timestamps[0] if timestamps else 0
        body = b"\0" + varint(delta) + varint(index) + _nullable(key) + _nullable(value) + varint(0)
        out += varint(len(body)) + body
    return out


def batch(pairs, *, codec=0, compress=bytes, producer=(-1, -1, -1), timestamps=None):
    """A record batch of magic 2. `producer` is the producer id, the epoch and the first sequence."""
    timestamps = timestamps or [int(time.time() * 1000)] * len(pairs)
    body = struct.pack(">hiqq", codec, len(pairs) - 1, timestamps[0], max(timestamps))
    body += struct.pack(">qhii", *producer, len(pairs)) + compress(records(pairs, timestamps))
    return struct.pack(">qiibI", 0, len(body) + 9, -1, 2, crc32c(body)) + body


def legacy_message(key, value, magic):
    """A message of magic 0 or 1."""
    body = struct.pack(">bb", magic, 0) + (struct.pack(">q", int(time.time() * 1000)) if magic else b"")
    body += b"".join(struct.pack(">i", len(field)) + field for field in (key, value))
    return struct.pack(">qiI", 0, len(body) + 4, zlib.crc32(body)) + body


def string(text):
    return struct.pack(">h", -1) if text is None else struct.pack(">h", len(text)) + text.encode()


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from(">" + layout, self.data, self.at)
        self.at += struct.calcsize(">" + layout)
        return values[0] if len(values) == 1 else values

    def bytes(self, size):
        self.at += size
        return self.data[self.at - size : self.at]

    def string(self):
        size = self.take("h")
        return None if size < 0 else self.bytes(size).decode()

    def array(self, read):
        return [read() for _ in range(self.take("i"))]

    def left(self):
        return len(self.data) - self.at


class Broker:
    def __init__(self, address):
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)

    def request(self, api, version, body):
        """Sends a request, and returns a reader behind the header of its response. ConnectionError if the broker closes."""
        message = struct.pack(">hhi", api, version, 7) + string("finding") + body
        self.socket.sendall(struct.pack(">i", len(message)) + message)
        reader = Reader(self._exactly(struct.unpack(">i", self._exactly(4))[0]))
        reader.take("i")
        return reader

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("closed by the broker")
            data += more
        return data

    def api_versions(self):
        reader = self.request(18, 0, b"")
        reader.take("h")
        return {api: (low, high) for api, low, high in reader.array(lambda: reader.take("hhh"))}

    def create_topic(self, name, **settings):
        settings = [string(key.replace("_", ".")) + string(value) for key, value in settings.items()]
        topic = string(name) + struct.pack(">ih", 1, 1) + array([]) + array(settings)
        reader = self.request(19, 2, array([topic]) + struct.pack(">i?", 30000, False))
        reader.take("i")
        errors = reader.array(lambda: (reader.string(), reader.take("h"), reader.string()))
        assert errors[0][1] == 0, errors
        deadline = time.monotonic() + 30
        while self._list_offsets(name, 1)[0] in (3, 5, 6) and time.monotonic() < deadline:
            time.sleep(0.05)

    def produce(self, topic, *batches, version=8):
        """One request, each batch an entry of partition 0. Returns for each partition that is answered its error code, base
        offset, errors of records (position, message) and message."""
        entries = [struct.pack(">ii", 0, len(each)) + each for each in batches]
        body = struct.pack(">hi", -1, 30000) + array([string(topic) + array(entries)])
        reader = self.request(0, version, (string(None) if version >= 3 else b"") + body)

        def partition():
            _, code, offset = reader.take("ihq")
            reader.take("q" * ((version >= 2) + (version >= 5)))
            errors, message = [], None
            if version >= 8:
                errors, message = reader.array(lambda: (reader.take("i"), reader.string())), reader.string()
            return code, offset, errors, message

        return reader.array(lambda: (reader.string(), reader.array(partition)))[0][1]

    def init_producer_id(self):
        """Error code, producer id and epoch for a producer without a transactional id."""
        for _ in range(100):
            reader = self.request(22, 1, string(None) + struct.pack(">i", 60000))
            reader.take("i")
            found = reader.take("hqh")
            if found[0] != 14:  # COORDINATOR_LOAD_IN_PROGRESS, while the broker gets its first block of ids
                break
            time.sleep(0.1)
        return found

    def end_offset(self, topic, committed=False):
        """The offset behind the last record, or with `committed` behind the last that a read_committed consumer gets."""
        return self._list_offsets(topic, 2, bytes([committed]))[2]

    def _list_offsets(self, topic, version, isolation=b""):
        """Error code, timestamp and offset of the end of partition 0."""
        entry = string(topic) + array([struct.pack(">iq", 0, -1)])
        reader = self.request(2, version, struct.pack(">i", -1) + isolation + array([entry]))
        reader.take("i" * version)
        reader.string()
        return reader.take("iihqq")[2:]


def wait(address, pid):
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        os.kill(pid, 0)
        try:
            broker = Broker(address)
            reader = broker.request(3, 1, array([]))
            if reader.take("i") > 0:  # it knows a broker: itself
                return
        except OSError:
            pass
        time.sleep(0.2)
    sys.exit(f"no answer of {address}")


if __name__ == "__main__" and sys.argv[1] == "wait":
    wait(sys.argv[2], int(sys.argv[3]))
