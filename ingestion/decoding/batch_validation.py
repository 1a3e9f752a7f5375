"""Turn parsed messages into rows of a landing table: events with typed columns, rejected messages verbatim.

Events in canonical form are accepted column by column. The result is exactly the row that
`ingestion.contract_validation.decode` would produce (a property test compares the two). All other messages go through
`decode` one by one. Only `decode` rejects a message, and only `decode` accepts other forms: an id in upper case, a time
with a UTC offset, additional envelope attributes except `requestid`, or a number that needs the full check.

One difference remains. If a JSON member occurs twice, both code paths use the last value, as PostgreSQL does, but only
`decode` rejects the message if an earlier value breaks the contract.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ingestion.contract_validation import CLOCK_TOLERANCE, MAX_VALUE_BYTES
from ingestion.decoding.parsing import DATA_PREFIX_LENGTH, parsed_schema
from ingestion.decoding.rejected_message_rows import accept_or_reject
from ingestion.storable_json import PLAIN_DATA
from lakehouse.lake import EVENT_COLUMNS, landing_schema

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# The canonical forms: an id in lower case, and a UTC time with at most six decimal places, on a day that exists, in the
# years that `decode` allows.
ID = r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\z"
_LEAP_YEAR = "(19(72|76|80|84|88|92|96)|20([02468][048]|[13579][26])|21(0[48]|[2468][048]|[13579][26]))"
_MONTH_AND_DAY = "((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
TIME = (
    rf"\A((19[7-9][0-9]|2[01][0-9]{{2}})-{_MONTH_AND_DAY}|{_LEAP_YEAR}-02-29)"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z\z"
)
REQUEST_ID = r"\A[0-9A-Za-z_-]+\z"
# `data` must be the message's first nested object and its last member. The pattern ensures both: `"data":` directly
# precedes the first inner brace (inside a text, its quotes would be escaped), and only the closing brace of the message
# follows the object.
DATA = rf'\A(?:,"data":|"data": ){PLAIN_DATA}\z'


def decode_batch(topic: str, parsed: "Sequence[pa.RecordBatch]") -> "pa.Table":
    """Return one row per message, in the landing schema. Messages in canonical form come first, ordered by day.

    Within a day, the rows of each partition are in log order. The remaining messages follow; for each partition, they
    are also in log order.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    accepted, others = accept_by_column(pa.Table.from_batches(parsed, parsed_schema()))
    rows = pa.concat_tables([accepted, accept_or_reject(topic, others)], promote_options="default")
    # A rejected message has no event time; it is stored under the day of its log time.
    day = pc.coalesce(rows["occurred_at"], rows["logged_at"]).cast(pa.date32())
    schema = landing_schema()
    return rows.append_column("event_date", day).select(schema.names).cast(schema)


def accept_by_column(messages: "pa.Table") -> "tuple[pa.Table, pa.Table]":
    """Return valid events in canonical form as EVENT_COLUMNS, ordered by day, and the other messages unchanged."""
    import numpy as np
    import pyarrow.compute as pc

    # Combine the chunks, because the regular expressions would be compiled again for each chunk. Drop the columns that
    # only `decode` needs.
    columns = messages.drop_columns(["value", "headers"]).combine_chunks()
    is_valid = _is_valid(columns)
    indexes, moments = np.flatnonzero(is_valid), _moments(columns, is_valid)
    is_ahead = np.asarray(pc.greater(moments["occurred_at"], pc.add(moments["logged_at"], CLOCK_TOLERANCE)))
    if is_ahead.any():
        is_valid[indexes[is_ahead]] = False
        indexes, moments = indexes[~is_ahead], moments.filter(~is_ahead)
    by_day = np.argsort(moments["occurred_at"].cast("date32").cast("int32").to_numpy(), kind="stable")
    return _typed(columns.take(indexes[by_day]), moments.take(by_day)), messages.filter(~is_valid)


def _is_valid(messages: "pa.Table") -> "np.ndarray":
    """Return a mask of the messages that parsing accepted and whose columns have the canonical forms."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    def as_mask(found: Any, *, null: bool = False) -> "np.ndarray":
        return np.asarray(found.fill_null(null))

    def match(name: str, pattern: str) -> Any:
        return pc.match_substring_regex(messages[name], pattern)

    is_valid: np.ndarray = as_mask(match("data", DATA)) & as_mask(match("event_id", ID))
    is_valid &= as_mask(match("occurred_at", TIME))
    if messages["recorded_at"].null_count < len(messages):  # most batches have no separate recording time
        is_valid &= as_mask(match("recorded_at", TIME), null=True)
    if messages["request_id"].null_count < len(messages):
        is_valid &= as_mask(match("request_id", REQUEST_ID), null=True)
    is_valid &= as_mask(pc.equal(messages["key"], messages["subject"].cast(pa.binary())), null=True)
    return is_valid


def _moments(messages: "pa.Table", is_valid: "np.ndarray") -> "pa.Table":
    """Return the typed times of the valid messages, with the recording time as the landing table defines it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    messages = messages.select(["logged_at", "occurred_at", "recorded_at"]).filter(is_valid)
    moment = landing_schema().field("logged_at").type
    logged_at = messages["logged_at"].cast(moment)
    claimed = pc.coalesce(messages["recorded_at"].cast(moment), logged_at)
    return pa.table(
        {
            "logged_at": logged_at,
            "occurred_at": messages["occurred_at"].cast(moment),
            "recorded_at": pc.if_else(pc.less(claimed, logged_at), claimed, logged_at),
        }
    )


def _typed(messages: "pa.Table", moments: "pa.Table") -> "pa.Table":
    """Return valid messages as EVENT_COLUMNS, with typed times and `data` as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {name: messages[name] for name in EVENT_COLUMNS if name != "extensions"} | {
        **{name: moments[name] for name in moments.column_names},
        "data": pc.binary_slice(messages["data"], DATA_PREFIX_LENGTH, MAX_VALUE_BYTES).cast(pa.string()),
        "extensions": pc.binary_join_element_wise('{"requestid":"', messages["request_id"], '"}', ""),
    }
    return pa.table(columns)
