"""Extension attributes of an envelope are kept, even in tables created before their column existed."""

import json
from collections.abc import Callable

from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from ingestion.consumer_groups import LANDING_GROUP
from ingestion.contract_validation import EncodedEvent
from ingestion.ledger import verify
from ingestion.loading import load
from ingestion.producer import EventProducer
from lakehouse.lake import application_id, landing_schema, table_uri
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.ingestion.landing.test_landing import drain, lake_rows

TOPIC = "okr_user_events"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_extension_attributes_reach_the_lake_and_raw(
    pipeline: Settings, producer: EventProducer, check_in: Callable[[int], EncodedEvent]
) -> None:
    traced = json.loads(check_in(1).value) | {"traceparent": TRACE, "tries": 2}
    producer.send(check_in(0))
    producer.send_raw(TOPIC, check_in(1).key, json.dumps(traced).encode())
    producer.flush()
    drain(pipeline)
    texts = sorted(text or "" for text in lake_rows(pipeline)["extensions"].to_pylist())
    assert texts == ["", f'{{"traceparent":"{TRACE}","tries":2}}']
    load(pipeline)
    with connect(pipeline.require("dsn_loader")) as connection:
        rows = connection.execute("SELECT extensions FROM raw.okr_user_events WHERE extensions IS NOT NULL").fetchall()
    assert rows == [({"traceparent": TRACE, "tries": 2},)]


def test_a_table_created_before_a_column_gets_it_and_keeps_its_rows(
    pipeline: Settings, producer: EventProducer, check_in: Callable[[int], EncodedEvent]
) -> None:
    producer.send(check_in(0))
    producer.flush()
    drain(pipeline)
    landed = DeltaTable(table_uri(pipeline.lake_uri, TOPIC))
    rows, cluster = lake_rows(pipeline).drop_columns(["extensions"]), str(landed.metadata().description)
    (partition,) = rows["kafka_partition"].to_pylist()
    name = application_id(cluster, LANDING_GROUP, TOPIC, partition)
    older = pipeline.model_copy(update={"lake_uri": f"{pipeline.lake_uri}-older"})
    write_deltalake(
        table_uri(older.lake_uri, TOPIC), rows, partition_by="event_date", name=TOPIC, description=cluster,
        commit_properties=CommitProperties(app_transactions=[Transaction(name, landed.transaction_version(name))]),
    )  # fmt: skip
    producer.send(check_in(50))  # the same key result, therefore the same partition
    producer.flush()
    assert drain(older) == 1
    assert load(older)[TOPIC] == 2
    found = lake_rows(older)
    assert found.column_names == landing_schema().names
    assert found["extensions"].to_pylist() == [None, None]
    assert verify(older).passed
