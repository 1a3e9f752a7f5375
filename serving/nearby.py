"""Known names that look like one that is not known."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

SHOWN = 5
LEAST_ALIKE = 0.6  # of 0 to 1; below it, names of one alphabet are alike by chance
LEAST_SHARED = 2  # letters of a name that stands in the other one


def nearby(wanted: str, known: Iterable[str], shown: int = SHOWN) -> list[str]:
    """Return the known names most like the one wanted, the most alike first; none where none is alike."""
    names = {name.casefold(): name for name in sorted(set(known), reverse=True)}
    folded = wanted.casefold()
    alike = get_close_matches(folded, names, n=shown, cutoff=LEAST_ALIKE)
    within = [name for name in sorted(names) if _is_within(folded, name) or _is_within(name, folded)]
    return [names[name] for name in dict.fromkeys([*alike, *within])][:shown]


def told(alike: Sequence[str]) -> str:
    """Return the sentence that tells of the names that were found."""
    return f"Nearby: {', '.join(map(repr, alike))}." if alike else "None is similar."


def _is_within(part: str, whole: str) -> bool:
    return len(part) >= LEAST_SHARED and part in whole
