"""What is surprising about a check-in. It is accepted all the same: reality is no less surprising than a slip."""

from collections.abc import Iterator
from dataclasses import dataclass

from lakehouse.figures import Measure, percent
from serving.published import Row

LOWEST_PROGRESS, HIGHEST_PROGRESS = -1.0, 2.0


@dataclass(frozen=True)
class Warned:
    """Something surprising: a stable word for programs, a sentence for people."""

    code: str
    detail: str


def warnings(value: float, *, is_final: bool, known: Row | None, key_result_id: str) -> list[Warned]:
    """Return what the caller should look at again; `known` is the key result as far as it is known."""
    if known is None:
        told = (
            f"No key result {key_result_id!r} is known. The check-in shows in the marts once one is defined by that id."
        )
        return [Warned("unknown_key_result", told)]
    return [*_of_value(value, known), *_of_state(known, is_final=is_final)]


def _of_value(value: float, known: Row) -> Iterator[Warned]:
    progress = (value - known["baseline"]) / (known["target"] - known["baseline"])
    if LOWEST_PROGRESS <= progress <= HIGHEST_PROGRESS:
        return
    measure = Measure(known["baseline"], known["target"])
    baseline, target = measure.defined(known["baseline"]), measure.defined(known["target"])
    told = (
        f"{measure.value(value)} is {percent(progress)} of the way from the baseline {baseline} to the target {target} "
        f"{known['unit']}".rstrip()
    )
    yield Warned("implausible_value", f"{told}. It counts as it is; PUT /v1/check-ins/{{check_in_id}} corrects it.")


def _of_state(known: Row, *, is_final: bool) -> Iterator[Warned]:
    match known.get("status"):
        case "archived":
            yield Warned("archived", "The key result is archived: it counts nowhere, whatever its value is.")
        case "achieved" | "missed":
            told = f"The key result was closed on {known['final_at']:%Y-%m-%d}: its outcome stays what it was"
            yield Warned("closed", f"{told}, unless its closing check-in is corrected.")
        case "awaiting_close" if not is_final:
            told = f"Its cycle ended on {known['cycle_end']}: what is missing is a closing check-in"
            yield Warned("cycle_is_over", f'{told} ("is_final": true).')
        case "not_started":
            yield Warned("cycle_has_not_begun", f"Its cycle starts on {known['cycle_start']}.")
        case _:
            return
