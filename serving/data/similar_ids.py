"""Suggest ids and names of the published data, but only those that the caller may see."""

from collections.abc import Mapping
from typing import Any

from serving.publication_reader import Reader
from serving.suggestions import similar_names

PACKAGE = "serving.data"


def known_names(reader: Reader, entity_type: str, visible: Mapping[str, Any]) -> set[str]:
    """Return the ids and names of an entity type (team, cycle, organisation, objective, key_result, user).

    `visible` are the query parameters of what the caller may see (serving/auth/visibility.py).
    """
    rows = reader.rows(PACKAGE, "known_names", {"entity_type": entity_type, **visible})
    return {row["name"] for row in rows if row["name"] is not None}


def similar_ids(reader: Reader, entity_type: str, wanted: str, visible: Mapping[str, Any]) -> list[str]:
    """Return the ids and names of an entity type that are similar to an unknown one, most similar first."""
    if entity_type != "key_result":
        return similar_names(wanted, known_names(reader, entity_type, visible))
    rows = reader.rows(PACKAGE, "similar_key_results", {"wanted": wanted, **visible})
    return similar_names(wanted, [row["key_result_id"] for row in rows])
