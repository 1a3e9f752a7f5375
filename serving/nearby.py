"""Known names that look like one that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches

SHOWN = 5
LEAST_ALIKE = 0.5


def nearby(wanted: str, known: Iterable[str], shown: int = SHOWN) -> list[str]:
    """Return the known names most like the one wanted, the most alike first; the first few where none is alike."""
    names = {name.casefold(): name for name in sorted(set(known), reverse=True)}
    folded = wanted.casefold()
    alike = get_close_matches(folded, names, n=shown, cutoff=LEAST_ALIKE)
    within = [name for name in sorted(names) if folded in name or name in folded]
    found = list(dict.fromkeys([*alike, *within])) or sorted(names)
    return [names[name] for name in found[:shown]]
