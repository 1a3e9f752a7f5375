"""The columns of rows that contain personal fields. The contracts name the fields."""

from lakehouse.contracts import contract_of
from lakehouse.field_encryption.decryption import PersonalColumn


def personal_column(event_type: str, field: str) -> PersonalColumn:
    """Return the column with a personal field of an event type.

    Raises:
        ValueError: the contract has no such personal field.
    """
    contract = contract_of(event_type)
    if contract.personal is None or field not in contract.personal.fields:
        raise ValueError(f"Expected a personal field of {event_type}, got {field!r}.")
    return PersonalColumn(f"{contract.noun}.{field}", contract.personal.entity)


def personal_columns(event_type: str) -> dict[str, PersonalColumn]:
    """Return the columns with the personal fields of an event type, by the names of the fields."""
    personal = contract_of(event_type).personal
    return {} if personal is None else {field: personal_column(event_type, field) for field in personal.fields}
