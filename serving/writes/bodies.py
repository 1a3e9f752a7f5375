"""Request bodies derived from the contracts of events, so that no field is described twice.

A body has the fields of the event's data, with the same types and bounds. Like all bodies of this API, it rejects
unknown fields. Rules that involve several fields are checked when the event is encoded.
"""

from datetime import date, datetime
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

import msgspec
from pydantic import AfterValidator, BaseModel, Field, create_model

from ingestion.contract_validation import id_fields
from lakehouse.contracts import Contract
from serving.schemas import Body, natural_key, storable

BOUNDS = ("ge", "gt", "le", "lt", "pattern", "min_length", "max_length", "description")


@cache
def body_of(contract: Contract, name: str, *, optional: tuple[str, ...] = ()) -> type[BaseModel]:
    """Return the model of a body with the fields of an event's data. Fields in `optional` may be omitted."""
    ids = id_fields(contract.model)
    fields: dict[str, Any] = {}
    for each in msgspec.structs.fields(contract.model):
        hint = _hint(each.type, is_id=each.name in ids)
        default: Any = ...
        if each.default is not msgspec.NODEFAULT:
            default = each.default
        elif each.name in optional:
            hint, default = hint | None, None
        fields[each.name] = (hint, default)
    documentation = (contract.model.__doc__ or "").strip().partition("\n\n")[0]
    return cast(type[BaseModel], create_model(name, __base__=Body, __doc__=documentation, **fields))


def _hint(hint: Any, *, is_id: bool) -> Any:
    """Return a type of msgspec as a type of pydantic."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        options = [_hint(each, is_id=is_id) for each in get_args(hint)]
        return Union[tuple(options)]  # noqa: UP007 -- the options are known only at run time
    if origin is Annotated:
        kind, *metas = get_args(hint)
        bounds = {
            name: value
            for meta in metas
            if isinstance(meta, msgspec.Meta)
            for name in BOUNDS
            if (value := getattr(meta, name)) is not None
        }
        return Annotated[(_plain(kind), Field(**bounds), *_text_rules(kind, is_id=is_id))]
    return _plain(hint)


def _plain(kind: Any) -> Any:
    if kind is float:
        return Annotated[float, Field(allow_inf_nan=False)]
    if kind in (date, datetime):
        return Annotated[kind, Field(strict=False)]  # JSON represents them as text
    return kind


def _text_rules(kind: Any, *, is_id: bool) -> list[AfterValidator]:
    if kind is not str:
        return []
    return [AfterValidator(storable), *([AfterValidator(natural_key)] if is_id else [])]
