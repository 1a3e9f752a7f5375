"""Send headers with arbitrary bytes as names, as clients in other languages can; the Python client rejects them."""

import ctypes
from pathlib import Path
from typing import Any

import confluent_kafka

_TOPIC, _VALUE, _KEY, _HEADERS, _END = 1, 4, 5, 10, 0  # librdkafka's rd_kafka_vtype_t
_PRODUCER, _FLUSH_MS = 0, 10_000


def send_with_header(bootstrap: str, topic: str, value: bytes, key: bytes, name: bytes) -> None:
    """Send a message with one header of that name, using librdkafka directly."""
    library = _library()
    error = ctypes.create_string_buffer(512)
    settings = ctypes.c_void_p(library.rd_kafka_conf_new())
    assert library.rd_kafka_conf_set(settings, b"bootstrap.servers", bootstrap.encode(), error, 512) == 0, error.value
    producer = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, settings, error, 512))
    headers = ctypes.c_void_p(library.rd_kafka_headers_new(1))
    size = ctypes.c_ssize_t
    library.rd_kafka_header_add(headers, name, size(len(name)), b"v", size(1))
    failed = library.rd_kafka_producev(
        producer, _TOPIC, topic.encode(), _VALUE, value, size(len(value)), _KEY, key, size(len(key)), _HEADERS, headers,
        _END,
    )  # fmt: skip
    assert failed == 0
    assert library.rd_kafka_flush(producer, _FLUSH_MS) == 0
    library.rd_kafka_destroy(producer)


def _library() -> Any:
    (path,) = (Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs").glob("librdkafka*")
    library = ctypes.CDLL(str(path))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new"):
        getattr(library, name).restype = ctypes.c_void_p
    return library
