"""Kafka's definitions: the metadata log of the broker, with topics, their ids, settings, rights and users' hashes.

Messages are not saved, because the lake has every message (rejected ones verbatim). After a restore, each partition is
empty and continues at the lake's next offset. The topics have their old ids, so offsets keep their meaning
(ingestion/log_identity.py), and consumers continue as after any restart: the lake's commit is the offset commit.
"""

import base64
from collections.abc import Mapping
from pathlib import Path

from infra.backup.lake import TableVersion
from lakehouse.errors import PermanentError

METADATA = "__cluster_metadata-0"
PROPERTIES = "meta.properties"
# Clients show ids in plain base64, Kafka's files have its URL-safe form.
URL_SAFE = str.maketrans("+/", "-_")
DERIVED = (".index", ".timeindex", ".txnindex")  # the broker makes them again


def is_broker(data: Path) -> bool:
    """Return whether a folder is the data folder of a broker, or a copy of its definitions."""
    return (data / PROPERTIES).is_file() and (data / METADATA).is_dir()


def files_of(data: Path) -> list[Path]:
    """Return the files with Kafka's definitions.

    The broker only appends to the newest of them. A copy may end within a record, which the broker then removes when it
    starts.

    Raises:
        PermanentError: this is not the data folder of a broker.
    """
    if not is_broker(data):
        raise PermanentError(
            f"{data} is not the data folder of a Kafka broker: expected {PROPERTIES} and {METADATA} in it. Set "
            "OKR_BACKUP_KAFKA_DATA to log.dirs of the broker on this host, or leave out the part kafka."
        )
    found = [path for path in (data / METADATA).iterdir() if path.is_file() and path.suffix not in DERIVED]
    names = [PROPERTIES, "bootstrap.checkpoint"]
    return [*sorted(found), *(data / name for name in names if (data / name).is_file())]


def foreign_tables(data: Path, tables: Mapping[str, TableVersion]) -> list[str]:
    """Return the tables of the lake whose topics the definitions do not have: a restore could not continue them.

    A copy of the definitions is too old if a topic was created after it.
    """
    cluster = cluster_id(data)
    logs = b"".join(path.read_bytes() for path in files_of(data) if path.suffix in (".log", ".checkpoint"))
    found = []
    for topic, table in tables.items():
        own_cluster, _, topic_id = table.log_id.partition("/")
        if own_cluster != cluster or _bytes_of(topic_id) not in logs:
            found.append(topic)
    return found


def _bytes_of(topic_id: str) -> bytes:
    """Return the 16 bytes of a topic id, as in the metadata log."""
    return base64.urlsafe_b64decode(topic_id.translate(URL_SAFE) + "=" * (-len(topic_id) % 4))


def cluster_id(data: Path) -> str:
    """Return the id of the cluster to which a broker's data belongs, or "" if there is none."""
    try:
        lines = (data / PROPERTIES).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ""
    return next((line.partition("=")[2].strip() for line in lines if line.startswith("cluster.id=")), "")


def create_empty_partitions(
    data: Path, tables: Mapping[str, TableVersion], starts: Mapping[str, Mapping[int, int]]
) -> None:
    """Create the partitions of each topic, which have no message and whose next offset is that in `starts`.

    Raises:
        PermanentError: the lake's offsets belong to another cluster.
    """
    for topic, table in tables.items():
        cluster, _, topic_id = table.log_id.partition("/")
        if cluster != cluster_id(data):
            raise PermanentError(
                f"The lake's table {topic} belongs to the Kafka cluster {cluster}, but the saved definitions to "
                f"{cluster_id(data)}. Restore a recovery point that was made when both were in use (`okr backup list`)."
            )
        for partition, offset in starts.get(topic, {}).items():
            folder = data / f"{topic}-{partition}"
            folder.mkdir(mode=0o700)
            (folder / f"{offset:020}.log").touch(mode=0o600)
            (folder / "partition.metadata").write_text(f"version: 0\ntopic_id: {topic_id.translate(URL_SAFE)}", "utf-8")
