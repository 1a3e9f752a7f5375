"""Suggest known names that are similar to an unknown name."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

MAX_SUGGESTIONS = 5
MIN_SIMILARITY = 0.6  # from 0 to 1; below it, names in the same alphabet match by chance
MIN_CONTAINED_LETTERS = 2  # of a name that is contained in the other name


def similar_names(wanted: str, known: Iterable[str], limit: int = MAX_SUGGESTIONS) -> list[str]:
    """Return the known names most similar to `wanted`, most similar first; empty if none is similar."""
    names = {name.casefold(): name for name in sorted(set(known), reverse=True)}
    folded = wanted.casefold()
    close = get_close_matches(folded, names, n=limit, cutoff=MIN_SIMILARITY)
    contained = [name for name in sorted(names) if _contains(name, folded) or _contains(folded, name)]
    return [names[name] for name in dict.fromkeys([*close, *contained])][:limit]


def suggestion(similar: Sequence[str]) -> str:
    """Return a sentence that suggests the names found."""
    return f"Similar names: {', '.join(map(repr, similar))}." if similar else "No known name is similar."


def _contains(whole: str, part: str) -> bool:
    return len(part) >= MIN_CONTAINED_LETTERS and part in whole
