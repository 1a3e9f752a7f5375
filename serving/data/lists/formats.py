"""The formats of a list, and the choice between them by `format` or the header Accept."""

from enum import StrEnum

from serving.errors import NotAcceptable, UnknownName
from serving.suggestions import similar_names


class Format(StrEnum):
    """The formats. Their values are the values of the parameter `format`."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.ARROW: "application/vnd.apache.arrow.stream",
}
SUFFIXES = {Format.CSV: "csv", Format.PARQUET: "parquet", Format.ARROW: "arrows"}


def chosen_format(wanted: str | None, accept: str | None) -> Format:
    """Return the requested format, or JSON if the request does not state a preference.

    Raises:
        UnknownName: the parameter names no format.
        NotAcceptable: the header Accept allows none of the formats.
    """
    if wanted is not None:
        if wanted not in MEDIA_TYPES:
            raise UnknownName(
                f"Unknown format {wanted!r}; expected one of: {', '.join(Format)}.",
                pointer="query format",
                similar=similar_names(wanted, list(Format)),
            )
        return Format(wanted)
    if not accept:
        return Format.JSON
    weights = _weights(accept)
    best = max(Format, key=lambda each: _weight(weights, MEDIA_TYPES[each]))  # on a tie, the first
    if _weight(weights, MEDIA_TYPES[best]) <= 0:
        raise NotAcceptable(f"None of the accepted types is available. Available: {', '.join(MEDIA_TYPES.values())}.")
    return best


def _weights(accept: str) -> dict[str, float]:
    """Return the quality of each media range of an Accept header (RFC 9110, section 12.5.1)."""
    weights: dict[str, float] = {}
    for item in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        try:
            weights[media_range] = float(quality)
        except ValueError:
            weights[media_range] = 0.0
    return weights


def _weight(weights: dict[str, float], media_type: str) -> float:
    for media_range in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return 0.0
