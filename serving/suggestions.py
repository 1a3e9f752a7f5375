"""Suggest known names that are similar to an unknown name."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

MAX_SUGGESTIONS = 5
MIN_SIMILARITY = 0.6  # from 0 to 1; with a lower threshold, unrelated names match by chance
LONGEST_NAME = 300  # comparing takes time that increases with the square of the length
MIN_CONTAINED_LETTERS = 2  # minimum length of a name for a match by containment


def similar_names(wanted: str, known: Iterable[str], limit: int = MAX_SUGGESTIONS) -> list[str]:
    """Return the known names that are similar to `wanted`, most similar first; none if it exceeds LONGEST_NAME."""
    if len(wanted) > LONGEST_NAME:
        return []
    names = {name.casefold(): name for name in sorted(set(known), reverse=True)}
    folded = wanted.casefold()
    close = get_close_matches(folded, names, n=limit, cutoff=MIN_SIMILARITY)
    contained = [name for name in sorted(names) if _contains(name, folded) or _contains(folded, name)]
    return [names[name] for name in dict.fromkeys([*close, *contained])][:limit]


def suggestion(similar: Sequence[str]) -> str:
    """Return a sentence that suggests the similar names."""
    return f"Similar names: {', '.join(map(repr, similar))}." if similar else "No known name is similar."


def _contains(whole: str, part: str) -> bool:
    return len(part) >= MIN_CONTAINED_LETTERS and part in whole
