"""Warnings in the response to a check-in. The check-in is still accepted, because a surprising value may be correct."""

from collections.abc import Iterator
from dataclasses import dataclass

from lakehouse.number_format import Measure, percent
from serving.check_ins.outcome_effect import Effect, Sent, closes, effect_on_outcome, is_archived
from serving.publication_reader import Row

LOWEST_PROGRESS, HIGHEST_PROGRESS = -1.0, 2.0


@dataclass(frozen=True)
class CheckInWarning:
    """A warning: a stable code for programs and a sentence for people."""

    code: str
    detail: str


def warnings(value: float, sent: Sent, *, known: Row | None, key_result_id: str) -> list[CheckInWarning]:
    """Return the warnings about a check-in. `known` is its key result in the marts and the state tables."""
    if known is None:
        detail = (
            f"Unknown key result {key_result_id!r}. The check-in appears in the marts once the key result has been "
            "defined."
        )
        return [CheckInWarning("unknown_key_result", detail)]
    # A correction of the closing check-in closes the same cycle as before, so no warning is needed.
    is_closing_new = sent.is_final and known.get("deciding_id") != sent.check_in_id and not is_archived(sent, known)
    closing = _of_closing(known) if is_closing_new and known.get("closes_cycle") else []
    return [*_of_value(value, known), *closing, *_of_state(value, sent, known)]


def _of_value(value: float, known: Row) -> Iterator[CheckInWarning]:
    progress = (value - known["baseline"]) / (known["target"] - known["baseline"])
    if LOWEST_PROGRESS <= progress <= HIGHEST_PROGRESS:
        return
    measure = Measure(known["baseline"], known["target"])
    baseline, target = measure.defined(known["baseline"]), measure.defined(known["target"])
    distance = (
        f"{measure.value(value)} is {percent(progress)} of the way from the baseline {baseline} to the target {target} "
        f"{known['unit']}".rstrip()
    )
    yield CheckInWarning(
        "implausible_value",
        f"{distance}. The value was recorded as sent; to correct it, use PUT /v1/check-ins/{{check_in_id}}.",
    )


def _of_closing(known: Row) -> list[CheckInWarning]:
    cycle, other = known["closes_cycle"], known["other_cycle"]
    if known["closes_before"]:
        detail = (
            f"It closes the key result in {cycle!r}. The key result was carried over to {other!r}, where it stays open."
        )
    else:
        detail = f"It closes the key result in {cycle!r}, not in {other!r}, from which the key result was carried over."
    return [CheckInWarning("closes_cycle", detail)]


def _of_state(value: float, sent: Sent, known: Row) -> Iterator[CheckInWarning]:
    status = known.get("status")
    if status is None:  # not published yet
        return
    effect = None if status == "archived" else effect_on_outcome(sent, known)
    if effect is not None:
        yield CheckInWarning(effect.value, _of_outcome(effect, value, sent, known))
        return
    match status:
        case "archived":
            yield CheckInWarning("archived", "The key result is archived, so none of its check-ins count.")
        case "awaiting_close" if not sent.is_final:
            detail = f"Its cycle ended on {known['cycle_end']}, and a closing check-in is missing"
            yield CheckInWarning("cycle_is_over", f'{detail} ("is_final": true).')
        case "not_started":
            yield CheckInWarning("cycle_not_started", f"Its cycle starts on {known['cycle_start']}.")
        case _:
            return


def _of_outcome(effect: Effect, value: float, sent: Sent, known: Row) -> str:
    shown = Measure(known["baseline"], known["target"]).value(value)
    this = f"{shown} {known['unit']}".rstrip()
    if effect is Effect.CLOSES:
        return f"Its cycle was closed on {known['cycle_closed_at']:%Y-%m-%d}, so this check-in closes it with {this}."
    closed = f"The key result was closed on {known['final_at']:%Y-%m-%d}"
    match effect:
        case Effect.BECOMES_THIS if not closes(sent, known):
            return (
                f"{closed}, with its cycle. This is now its latest earlier check-in, so its final value becomes {this}."
            )
        case Effect.BECOMES_THIS:
            return f"{closed}. This is now its latest closing check-in, so its final value becomes {this}."
        case Effect.BECOMES_OTHER:
            return f"{closed}. Its outcome now comes from the check-in of {known['other_at']:%Y-%m-%d}."
        case Effect.REOPENS:
            return f"{closed} by this check-in, which is no longer final, so the key result is open again."
        case _:
            stays = f'{closed}, and its outcome does not change. A check-in with "is_final": true closes it again'
            return f"{stays}; to correct its closing check-in, use PUT /v1/check-ins/{{check_in_id}}."
