"""The offsets that were pruned after their retention. The ledger covers only the offsets after them.

The lake records the end of a partition's pruned offsets in the commit that removes their files, under a separate
application id. PostgreSQL records this end in `ops.pruned_range`, with the number of rows. The later of the two ends
applies, because either record may have been restored to an earlier state.
"""

from collections.abc import Collection
from dataclasses import dataclass

from lakehouse.errors import RetryableError
from lakehouse.lake import application_id, open_table, table_uri

GROUP = "okr-pruned"


@dataclass(frozen=True)
class Pruned:
    """The pruned offsets of a partition: those below `end`. `offsets` and `rows` count those of the recorded ranges."""

    end: int = 0
    offsets: int = 0
    rows: int = 0


def pruned_ends(lake_uri: str, topic: str, partitions: Collection[int]) -> dict[int, int]:
    """Return the end of the pruned offsets of each partition, as the lake has recorded it.

    Raises:
        RetryableError: the lake cannot be read.
    """
    from deltalake.exceptions import DeltaError, TableNotFoundError

    uri = table_uri(lake_uri, topic)
    try:
        table = open_table(uri)
        log_id = str(table.metadata().description)
        found = {each: table.transaction_version(application_id(log_id, GROUP, topic, each)) for each in partitions}
    except TableNotFoundError:
        return {}
    except (DeltaError, OSError) as error:
        raise RetryableError(f"The lake table {uri} cannot be read: {error}.") from error
    return {partition: end for partition, end in found.items() if end is not None}
