"""The simulated history: reproducible bytes, correct counts, and the features of a real history."""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from ingestion.contract_validation import decode
from ingestion.sources.simulator import SCALES, Tally, messages, organisation
from ingestion.sources.simulator.malformed_messages import MALFORMATIONS, malformed
from ingestion.sources.simulator.messages import Message, MessageKind
from lakehouse.errors import ContractViolation

AS_OF = datetime(2026, 5, 20, 15, 30, tzinfo=UTC)
SMALL = organisation(1, SCALES["small"])


@pytest.fixture(scope="module")
def past() -> list[Message]:
    return list(messages(SMALL, AS_OF))


@pytest.fixture(scope="module")
def frames(past: list[Message]) -> list[dict[str, Any]]:
    """Return all distinct valid events as JSON, in order of sending."""
    return [json.loads(message.event.value) for message in past if message.kind is MessageKind.NEW]


def _of_type(frames: list[dict[str, Any]], noun: str) -> list[dict[str, Any]]:
    return [frame for frame in frames if frame["type"].split(".")[1] == noun]


def test_the_same_arguments_give_the_same_bytes(past: list[Message]) -> None:
    assert list(messages(organisation(1, SCALES["small"]), AS_OF)) == past


def test_another_seed_is_another_organisation(past: list[Message]) -> None:
    ids = {message.event.key for message in past if message.event.topic == "okr_user_events"}
    other = {
        message.event.key
        for message in messages(organisation(2, SCALES["small"]), AS_OF)
        if message.event.topic == "okr_user_events"
    }
    assert not ids & other


def test_a_later_as_of_continues_an_earlier_history(past: list[Message]) -> None:
    later = [m for m in messages(SMALL, AS_OF + timedelta(days=7)) if m.kind is MessageKind.NEW]
    earlier = [message for message in past if message.kind is MessageKind.NEW]

    assert later[: len(earlier)] == earlier
    assert len(later) > len(earlier)


def test_the_tally_matches_the_yielded_messages(past: list[Message]) -> None:
    tally = Tally()
    for message in past:
        tally.add(message)
    counts = tally.as_json()

    assert sum(topic["produced"] for topic in counts.values()) == len(past)
    for topic, count in counts.items():
        assert count["produced"] == count["distinct"] + count["duplicates"] + count["malformed"]
        sent_ids = Counter(json.loads(m.event.value)["id"] for m in past if m.event.topic == topic and _is_good(m))
        assert len(sent_ids) == count["distinct"]
        assert sum(sent_ids.values()) == count["distinct"] + count["duplicates"]


def _is_good(message: Message) -> bool:
    return message.kind is not MessageKind.MALFORMED


def test_valid_messages_satisfy_their_contracts_and_malformed_ones_violate_them(past: list[Message]) -> None:
    for message in past:
        event = message.event
        if _is_good(message):
            decode(event.topic, event.value, event.key, AS_OF)
        else:
            with pytest.raises(ContractViolation):
                decode(event.topic, event.value, event.key, AS_OF)


@pytest.mark.parametrize("kind", range(len(MALFORMATIONS)))
def test_every_malformation_invalidates_every_type_of_event(past: list[Message], kind: int) -> None:
    one_of_each = {json.loads(m.event.value)["type"]: m.event for m in past if _is_good(m)}
    for event in one_of_each.values():
        broken = malformed(event, kind)
        with pytest.raises(ContractViolation):
            decode(broken.topic, broken.value, broken.key)


def test_about_one_percent_are_duplicates_and_a_third_of_a_percent_malformed(past: list[Message]) -> None:
    kinds = Counter(message.kind for message in past)

    assert 0.006 < kinds[MessageKind.DUPLICATE] / len(past) < 0.014
    assert 0.0015 < kinds[MessageKind.MALFORMED] / len(past) < 0.005


def test_nothing_is_recorded_or_sent_after_as_of(frames: list[dict[str, Any]]) -> None:
    assert all(_time(frame["recordedtime"]) <= AS_OF for frame in frames)
    assert max(_time(frame["time"]) for frame in frames) > AS_OF - timedelta(days=1)


def test_some_events_come_days_late_and_out_of_order(frames: list[dict[str, Any]]) -> None:
    lags = [_time(frame["recordedtime"]) - _time(frame["time"]) for frame in frames]
    recorded = [_time(frame["recordedtime"]) for frame in frames]

    assert min(lags) >= timedelta(0)
    assert sum(lag > timedelta(days=1) for lag in lags) > 10
    assert sum(later < earlier for earlier, later in pairwise(recorded)) > 10


def test_the_history_has_six_quarters_and_the_last_is_open(frames: list[dict[str, Any]]) -> None:
    cycles = [frame["data"] for frame in _of_type(frames, "cycle")]

    assert [cycle["name"] for cycle in cycles] == ["2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2"]
    assert cycles[-1]["ends_on"] == "2026-06-30"


def test_children_are_sent_after_their_parents(frames: list[dict[str, Any]]) -> None:
    known: set[str] = set()
    for frame in frames:
        data = frame["data"]
        for field in ("organisation_id", "team_id", "objective_id", "cycle_id", "parent_objective_id", "owner_user_id"):
            if data.get(field) and field.removesuffix("_id") != frame["type"].split(".")[1]:
                assert data[field] in known
        known.add(frame["subject"])


def test_check_ins_belong_to_known_key_results_and_are_within_their_cycle(frames: list[dict[str, Any]]) -> None:
    cycles = {frame["subject"]: frame["data"] for frame in _of_type(frames, "cycle")}
    objectives = {frame["subject"]: frame["data"] for frame in _of_type(frames, "objective")}
    key_results = {frame["subject"]: frame["data"] for frame in _of_type(frames, "key_result")}
    for frame in _of_type(frames, "check_in"):
        cycle = cycles[objectives[key_results[frame["subject"]]["objective_id"]]["cycle_id"]]
        if frame["data"]["is_final"]:
            assert cycle["ends_on"] < frame["time"][:10] <= str(_time(cycle["ends_on"]).date() + timedelta(days=3))
        else:
            assert cycle["starts_on"] <= frame["time"][:10] <= cycle["ends_on"]


def test_corrections_have_the_same_check_in_id_and_come_later(frames: list[dict[str, Any]]) -> None:
    versions = defaultdict(list)
    for frame in _of_type(frames, "check_in"):
        versions[frame["data"]["check_in_id"]].append(frame)
    corrected = [each for each in versions.values() if len(each) > 1]

    assert 5 < len(corrected) < 0.05 * len(versions)
    for first, second in corrected:
        assert first["time"] == second["time"]
        assert first["id"] != second["id"]
        assert first["recordedtime"] < second["recordedtime"]


def test_the_history_has_the_features_of_a_real_organisation(frames: list[dict[str, Any]]) -> None:
    key_results = Counter(frame["subject"] for frame in _of_type(frames, "key_result"))
    finals = sum(frame["data"]["is_final"] for frame in _of_type(frames, "check_in"))
    closed = {frame["subject"] for frame in _of_type(frames, "check_in") if frame["data"]["is_final"]}
    directions = Counter(frame["data"]["direction"] for frame in _of_type(frames, "key_result"))
    names = [frame["data"]["name"] for frame in _of_type(frames, "user")]

    assert 150 <= len(key_results) <= 260
    assert any(count == 2 for count in key_results.values()), "no key result was re-targeted"
    assert 0.7 * len(key_results) < finals == len(closed) < len(key_results)
    assert min(directions.values()) > 0.2 * len(key_results)
    assert any("<script>" in name for name in names)
    assert any(len(name) == 300 for name in names)
    assert all(frame["data"]["email"].endswith("@example.org") for frame in _of_type(frames, "user"))
    assert any(frame["data"]["parent_objective_id"] for frame in _of_type(frames, "objective"))
    assert len(_of_type(frames, "page")) > 1_000
    assert len(_of_type(frames, "host_metric")) > 1_000


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
