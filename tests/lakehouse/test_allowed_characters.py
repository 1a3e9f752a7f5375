"""Ids are identical whatever their source: an id normalised from a file is an id that a message may contain."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingestion.contract_validation import encode
from ingestion.sources.okr_files.cell_parsing import id_of
from lakehouse.contracts.allowed_characters import fault_of_id, fault_of_name, normalised_id, normalised_name, strip
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.user import UserDefined
from lakehouse.errors import ContractViolation

AT = datetime(2026, 5, 1, tzinfo=UTC)
HIDDEN = st.sampled_from("\x00\x7f\x85\xa0\xad\u034f\u200b\u200d\u2028\u202e\u2060\u3000\ufe0f\ufeff\ufffd\u0301 \n")
TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"], max_codepoint=0x3FFF), HIDDEN), max_size=12)


def _is_sent(text: str) -> bool:
    try:
        encode(CheckInRecorded(check_in_id="c", key_result_id=text, value=1), at=AT, source="test")
    except ContractViolation:
        return False
    return True


def _imported(cell: str) -> str | None:
    try:
        return id_of({"key_result_id": strip(cell)}, "key_result_id")
    except ContractViolation:
        return None


@settings(max_examples=500, deadline=None)
@given(TEXT)
@example("u\n")
@example("\u200b")
@example("e\u0301")
@example("\u1100\u1161")
def test_messages_accept_exactly_the_ids_that_imports_produce(text: str) -> None:
    imported = _imported(text)

    assert imported is None or _is_sent(imported)
    assert _is_sent(text) == (imported == text)


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_normalising_is_idempotent(text: str) -> None:
    for normalised in (strip, normalised_id, normalised_name):
        assert normalised(normalised(text)) == normalised(text)


@pytest.mark.parametrize("email", ["ann\u200b@example.org", "ann@exam\u00adple.org", "anne\u0301@example.org"])
def test_an_address_with_invisible_characters_is_rejected(email: str) -> None:
    with pytest.raises(ContractViolation) as violation:
        encode(UserDefined(user_id="u", name="Ann", email=email), at=AT, source="test")
    assert violation.value.reason == "bad_id"


@pytest.mark.parametrize("text", ["kr-1", "Größe", "目标 1", "a/b c", "🎯-1", "नमस्ते"])
def test_ids_in_any_script_are_valid(text: str) -> None:
    assert fault_of_id(text) is None
    assert fault_of_name(text) is None


def test_faults_name_the_code_point() -> None:
    assert fault_of_id("a\u00a0b") == "contains U+00A0 (NO-BREAK SPACE)"
    assert fault_of_id("a\x01b") == "contains U+0001 (a control character)"
    assert fault_of_id("e\u0301") == "is not in Unicode's normal form C (NFC)"
    assert fault_of_name("a\u200bb") == "contains U+200B (ZERO WIDTH SPACE)"
