import polars as pl
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.errors import PermanentError
from lakehouse.lake import open_table, table_uri


@pytest.mark.parametrize("folder", ["plain", "with a space", "ümläut & co", "a+b#c"])
def test_a_lake_can_be_in_a_folder_with_any_usual_name(tmp_path, folder):
    uri = table_uri(str(tmp_path / folder), "topic")
    write_deltalake(uri, pa.table({"value": [1, 2], "day": ["x", "y"]}), partition_by="day")
    assert sorted(pl.scan_delta(open_table(uri)).filter(pl.col("value") > 0).collect()["value"]) == [1, 2]


def test_a_path_that_the_delta_library_would_misread_is_rejected(tmp_path):
    with pytest.raises(PermanentError, match="% sign"):
        table_uri(str(tmp_path / "50%20off"), "topic")
