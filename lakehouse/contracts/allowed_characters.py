"""Which characters an id or a name may hold: one rule for files, Kafka and the API, so that they agree on a value.

`ID`s are compared by their bytes, so whatever looks alike must be the same bytes: in Unicode's normal form C, without
characters that nobody sees, without spaces but U+0020 within. `NAME`s are read by people and may hold what scripts and
emoji need (joiners, variation selectors, tags). A file's cells are normalised; a message is rejected, for what a
source sent is never rewritten.
"""

import re
import unicodedata

_CONTROL = "\x00-\x1f\x7f-\x9f"
_SPACES = "\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # all but U+0020
# Unicode's Default_Ignorable_Code_Point (shown as nothing), without what scripts and emoji need; interlinear marks.
_IGNORED = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)
_JOINING = "\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f\U000e0000-\U000e0fff"
_DAMAGED = "\ufffd"  # stands where a program could not read what was there

_not_of_an_id = re.compile(f"[{_CONTROL}{_SPACES}{_IGNORED}{_JOINING}{_DAMAGED}]")
_not_of_a_name = re.compile(f"[{_CONTROL}{_IGNORED}{_DAMAGED}]")
_other_space = re.compile(f"[{_SPACES}]")
_edges = re.compile(rf"\A[\s{_CONTROL}{_IGNORED}\u200c\u200d]+|[\s{_CONTROL}{_IGNORED}\u200c\u200d]+\Z")


def strip(text: str) -> str:
    """Take spaces, control characters and invisible ones off both ends."""
    text = text.strip()
    return text if text.isascii() and text.isprintable() else _edges.sub("", text)


def normalised_id(text: str) -> str:
    """Return an id as its source meant it: without what nobody sees at its ends, in normal form C."""
    return unicodedata.normalize("NFC", strip(text))


def normalised_name(text: str) -> str:
    """Return a name as people read it: as `normalised_id`, each space the usual one."""
    return normalised_id(_other_space.sub(" ", text))


def fault_of_id(text: str) -> str | None:
    """Say why a text is no id, for people; None if it may be one. Its length is not looked at."""
    if text.isascii() and text.isprintable():
        return "begins or ends with a space" if text != text.strip() else None
    if found := _not_of_an_id.search(text):
        return f"holds {_told(found[0])}"
    if text != text.strip():
        return "begins or ends with a space"
    return None if unicodedata.is_normalized("NFC", text) else "is not in Unicode's normal form C (NFC)"


def fault_of_name(text: str) -> str | None:
    """Say why a text is no name, for people; None if it may be one."""
    found = _not_of_a_name.search(text)
    return f"holds {_told(found[0])}" if found else None


def _told(character: str) -> str:
    name = unicodedata.name(character, "a control character" if ord(character) < 0xA0 else "an unnamed character")
    return f"U+{ord(character):04X} ({name})"
