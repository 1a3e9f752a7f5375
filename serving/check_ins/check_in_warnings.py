"""What is surprising about a check-in. It is accepted all the same: reality is no less surprising than a slip."""

from collections.abc import Iterator
from dataclasses import dataclass

from lakehouse.number_format import Measure, percent
from serving.check_ins.outcome_effect import Effect, Sent, closes, effect_on_outcome, is_archived
from serving.publication_reader import Row

LOWEST_PROGRESS, HIGHEST_PROGRESS = -1.0, 2.0


@dataclass(frozen=True)
class CheckInWarning:
    """Something surprising: a stable word for programs, a sentence for people."""

    code: str
    detail: str


def warnings(value: float, sent: Sent, *, known: Row | None, key_result_id: str) -> list[CheckInWarning]:
    """Return what the caller should look at again; `known` is the key result as far as it is known."""
    if known is None:
        told = (
            f"No key result {key_result_id!r} is known. The check-in shows in the marts once one is defined by that id."
        )
        return [CheckInWarning("unknown_key_result", told)]
    # Of a correction of the closing check-in itself it is known which cycle it closes: the one that is told of below.
    is_closing_new = sent.is_final and known.get("deciding_id") != sent.check_in_id and not is_archived(sent, known)
    closing = _of_closing(known) if is_closing_new and known.get("closes_cycle") else []
    return [*_of_value(value, known), *closing, *_of_state(value, sent, known)]


def _of_value(value: float, known: Row) -> Iterator[CheckInWarning]:
    progress = (value - known["baseline"]) / (known["target"] - known["baseline"])
    if LOWEST_PROGRESS <= progress <= HIGHEST_PROGRESS:
        return
    measure = Measure(known["baseline"], known["target"])
    baseline, target = measure.defined(known["baseline"]), measure.defined(known["target"])
    told = (
        f"{measure.value(value)} is {percent(progress)} of the way from the baseline {baseline} to the target {target} "
        f"{known['unit']}".rstrip()
    )
    yield CheckInWarning(
        "implausible_value", f"{told}. It counts as it is; PUT /v1/check-ins/{{check_in_id}} corrects it."
    )


def _of_closing(known: Row) -> list[CheckInWarning]:
    closes, other = known["closes_cycle"], known["other_cycle"]
    if known["closes_before"]:
        told = f"It closes the key result in {closes!r}, which it was carried on from; in {other!r} it stays open."
    else:
        told = f"It closes the key result in {closes!r}, not in {other!r}, which it was carried on from."
    return [CheckInWarning("closes_cycle", told)]


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
            yield CheckInWarning("archived", "The key result is archived: it counts nowhere, whatever its value is.")
        case "awaiting_close" if not sent.is_final:
            told = f"Its cycle ended on {known['cycle_end']}: what is missing is a closing check-in"
            yield CheckInWarning("cycle_is_over", f'{told} ("is_final": true).')
        case "not_started":
            yield CheckInWarning("cycle_has_not_begun", f"Its cycle starts on {known['cycle_start']}.")
        case _:
            return


def _of_outcome(effect: Effect, value: float, sent: Sent, known: Row) -> str:
    shown = Measure(known["baseline"], known["target"]).value(value)
    this = f"{shown} {known['unit']}".rstrip()
    if effect is Effect.CLOSES:
        return f"Its cycle was closed on {known['cycle_closed_at']:%Y-%m-%d}: this check-in closes it, with {this}."
    closed = f"The key result was closed on {known['final_at']:%Y-%m-%d}"
    match effect:
        case Effect.BECOMES_THIS if not closes(sent, known):
            return f"{closed}, with its cycle. This is the latest check-in of before: its outcome is then {this}."
        case Effect.BECOMES_THIS:
            return f"{closed}. This check-in counts as a closing one: its outcome is then {this}."
        case Effect.BECOMES_OTHER:
            return f"{closed}. Its outcome is then what the check-in of {known['other_at']:%Y-%m-%d} says."
        case Effect.REOPENS:
            return f"{closed} by this check-in, which then closes it no longer: it is open again."
        case _:
            told = f'{closed}: its outcome stays what it was. A check-in with "is_final": true closes it anew'
            return f"{told}; PUT /v1/check-ins/{{check_in_id}} corrects its closing check-in."
