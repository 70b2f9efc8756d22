"""How librdkafka parses settings: calls the library in the wheel of confluent-kafka directly.

Reads lines of fields separated by U+001F: the requested setting, then names and values, in which U+001E stands for a line
end. Prints for each "refused", "unknown", or the value after "=", followed by U+001D and a line end.
"""

import ctypes
import glob
import os
import re
import sys

import confluent_kafka

PRODUCER = 0
UNKNOWN, INVALID, OK = -2, -1, 0
# Their values are case-insensitive names, printed in lower case. For acks, -1 is printed as `all`.
NAMES = {"security.protocol", "compression.type", "compression.codec", "ssl.endpoint.identification.algorithm"}
SERVERS = {"bootstrap.servers", "metadata.broker.list"}
ACKS = {"acks", "request.required.acks"}

wheel = os.path.dirname(os.path.dirname(confluent_kafka.__file__))
(path,) = glob.glob(os.path.join(wheel, "confluent_kafka.libs", "librdkafka-*.so*"))
library = ctypes.CDLL(path)
library.rd_kafka_version_str.restype = ctypes.c_char_p
library.rd_kafka_conf_new.restype = ctypes.c_void_p
library.rd_kafka_conf_set.argtypes = [ctypes.c_void_p, *[ctypes.c_char_p] * 3, ctypes.c_size_t]
library.rd_kafka_conf_get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
library.rd_kafka_conf_destroy.argtypes = [ctypes.c_void_p]
library.rd_kafka_new.restype = ctypes.c_void_p
library.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
library.rd_kafka_destroy.argtypes = [ctypes.c_void_p]
LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)
library.rd_kafka_conf_set_log_cb.argtypes = [ctypes.c_void_p, LOG]

added = []


@LOG
def log(_client, _level, _facility, text):
    text = text.decode(errors="replace")
    # "[thrd:app]: sasl_ssl://127.0.0.1:9092/bootstrap: Added new broker with NodeId -1". Other threads add them again, once
    # they could not be connected to.
    if found := re.search(r"\[thrd:app\]: (?:[a-z_]+://)?(.*):(\d+)/bootstrap: Added new broker", text):
        added.append(found.groups())
    elif "WHY" in os.environ and _level <= 4:
        print("    ", text, file=sys.stderr)


def answer(setting, settings):
    text = ctypes.create_string_buffer(512)
    conf = library.rd_kafka_conf_new()
    if setting not in SERVERS:
        settings = {"bootstrap.servers": "127.0.0.1:9092", **settings}
    for name, value in settings.items():
        outcome = library.rd_kafka_conf_set(conf, name.encode(), value.encode(), text, len(text))
        if outcome != OK:
            why(name, value, text)
            library.rd_kafka_conf_destroy(conf)
            return "unknown" if outcome == UNKNOWN else "refused"
    value = get(conf, setting)
    library.rd_kafka_conf_set(conf, b"debug", b"broker", text, len(text))
    library.rd_kafka_conf_set(conf, b"log_level", b"7", text, len(text))
    library.rd_kafka_conf_set_log_cb(conf, log)
    added.clear()
    client = library.rd_kafka_new(PRODUCER, conf, text, len(text))
    if not client:
        why(setting, settings.get(setting), text)
        library.rd_kafka_conf_destroy(conf)
        return "refused"
    library.rd_kafka_destroy(client)
    if setting in SERVERS:
        return "=" + ",".join(f"{bracketed(host)}:{port}" for host, port in added) if added else "refused"
    if setting in ACKS and value == "-1":
        value = "all"
    return "=" + (value.lower() if setting in NAMES else value)


def bracketed(host):
    host = host.strip("[]")
    return f"[{host}]" if ":" in host else host


def get(conf, setting):
    size = ctypes.c_size_t(0)
    if library.rd_kafka_conf_get(conf, setting.encode(), None, ctypes.byref(size)) != OK:
        return ""  # there is no value
    value = ctypes.create_string_buffer(size.value)
    library.rd_kafka_conf_get(conf, setting.encode(), value, ctypes.byref(size))
    return value.value.decode()


def why(name, value, text):
    if "WHY" in os.environ:
        print(f"{name} = {value!r}: {text.value.decode()}", file=sys.stderr)


if __name__ == "__main__":
    print(f"librdkafka {library.rd_kafka_version_str().decode()} of confluent-kafka {confluent_kafka.version()}", end="\x1d\n")
    for line in sys.stdin:
        setting, *rest = line.rstrip("\n").replace("\x1e", "\n").split("\x1f")
        print(answer(setting, dict(zip(rest[::2], rest[1::2]))), end="\x1d\n", flush=True)
