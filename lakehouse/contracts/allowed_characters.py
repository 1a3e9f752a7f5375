"""The characters that ids and names may contain. The same rules apply to files, Kafka and the API.

Ids are compared byte by byte, so ids that look the same must have the same bytes. They must be in Unicode normal form C
and must not contain invisible characters. The only allowed space is U+0020 between other characters. Names are read by
people and may also contain the characters that some writing systems and emoji need (joiners, variation selectors,
tags). The cells of imported files are normalised. A message that breaks a rule is rejected, because events are never
rewritten.
"""

import re
import unicodedata

_CONTROL = "\x00-\x1f\x7f-\x9f"
_SPACES = "\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # all except U+0020
# Invisible characters (Unicode's Default_Ignorable_Code_Point) and interlinear annotation marks, except the characters
# in _JOINING.
_IGNORED = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)
# Invisible characters that some writing systems and emoji need.
_JOINING = "\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f\U000e0000-\U000e0fff"
_DAMAGED = "\ufffd"  # the replacement character, inserted by a program that could not decode the text

_forbidden_in_ids = re.compile(f"[{_CONTROL}{_SPACES}{_IGNORED}{_JOINING}{_DAMAGED}]")
_forbidden_in_names = re.compile(f"[{_CONTROL}{_IGNORED}{_DAMAGED}]")
_other_space = re.compile(f"[{_SPACES}]")
_edges = re.compile(rf"\A[\s{_CONTROL}{_IGNORED}\u200c\u200d]+|[\s{_CONTROL}{_IGNORED}\u200c\u200d]+\Z")


def strip(text: str) -> str:
    """Remove spaces, control characters and invisible characters from both ends."""
    text = text.strip()
    return text if text.isascii() and text.isprintable() else _edges.sub("", text)


def normalised_id(text: str) -> str:
    """Return an id in normal form C, without invisible characters at its ends."""
    return unicodedata.normalize("NFC", strip(text))


def normalised_name(text: str) -> str:
    """Return a name in normal form C, without invisible characters at its ends, and with U+0020 for every space."""
    return normalised_id(_other_space.sub(" ", text))


def fault_of_id(text: str) -> str | None:
    """Return why a text is not a valid id, as part of an error message, or None if it is. Its length is not checked."""
    if text.isascii() and text.isprintable():
        return "begins or ends with a space" if text != text.strip() else None
    if found := _forbidden_in_ids.search(text):
        return f"contains {_described(found[0])}"
    if text != text.strip():
        return "begins or ends with a space"
    return None if unicodedata.is_normalized("NFC", text) else "is not in Unicode's normal form C (NFC)"


def fault_of_name(text: str) -> str | None:
    """Return why a text is not a valid name, as part of an error message, or None if it is."""
    found = _forbidden_in_names.search(text)
    return f"contains {_described(found[0])}" if found else None


def printable(text: str) -> str:
    """Return a text with ? for every character that a terminal or a log could interpret."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _described(character: str) -> str:
    name = unicodedata.name(character, "a control character" if ord(character) < 0xA0 else "an unnamed character")
    return f"U+{ord(character):04X} ({name})"
