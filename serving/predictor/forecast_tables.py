"""Keep the forecasts of all current key results in memory, by model version, all from the same publication.

The forecasts are computed in one batch per publication and version: in the background after a publication, and before a
newly loaded version serves. Requests only look the forecasts up. The first request after the start may have to wait.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from lakehouse.background import BackgroundThread
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.logs import get_logger
from serving.errors import NotPublished
from serving.models.features import check_output
from serving.models.loaded_version import LoadedVersion
from serving.models.runtime import ModelRuntime
from serving.predictor.drift import observe_drift
from serving.predictor.forecast_cache import ForecastCache
from serving.predictor.key_result_answers import (
    RUNNING,
    Answer,
    CachedForecast,
    CurrentForecasts,
    KeyResultCycle,
    no_forecast,
)
from serving.publication_reader import Publication, PublishedReader, Row, Warehouse

PACKAGE = "serving.predictor"
LOOK_EVERY_S = 1.0
ATTEMPTS = 5


class ObserveBatch(Protocol):
    """A function that is called after each batch with the version, whether it failed, and the duration in seconds."""

    def __call__(self, version: LoadedVersion, *, is_failed: bool, duration_s: float) -> None:
        """Record one batch."""
        ...


@dataclass(frozen=True)
class ForecastTable:
    """The answers of one version by key result id, and its forecasts by key result and cycle."""

    answers: Mapping[str, Answer]
    by_key_result_cycle: Mapping[KeyResultCycle, CachedForecast]


@dataclass(frozen=True)
class Snapshot:
    """The tables of all loaded versions by the version's key. `failed` contains the keys of versions that failed."""

    publication: Publication
    tables: Mapping[str, ForecastTable]
    failed: frozenset[str] = field(default_factory=frozenset)

    def covers(self, versions: Iterable[LoadedVersion]) -> bool:
        """Return whether each of these versions has a table or has failed to compute one."""
        return all(version.key in self.tables or version.key in self.failed for version in versions)


@dataclass(frozen=True)
class _Rows:
    features: list[Row]
    key_results: list[Row]


class _Overtaken(Exception):
    """A new publication arrived between the reads of a build."""


class ForecastTables:
    """Computes and keeps the tables. Start its thread before use; without it, requests compute what is missing."""

    def __init__(
        self,
        warehouse: Warehouse,
        cache: ForecastCache,
        runtime: ModelRuntime,
        observe: ObserveBatch | None = None,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._warehouse = warehouse
        self._cache = cache
        self._runtime = runtime
        self._observe = observe
        self._look_every_s = look_every_s
        self._snapshot: Snapshot | None = None
        self._listeners: list[Callable[[Snapshot], None]] = []
        self._building = threading.RLock()
        self._stopping = threading.Event()
        self.thread = BackgroundThread("forecasts", self._run, self._stopping, state=runtime.settings.state)
        self._log = get_logger(__name__)

    def start(self) -> None:
        """Start the thread that computes the forecasts of each new publication."""
        self.thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()

    def subscribe(self, listener: Callable[[Snapshot], None]) -> None:
        """Call `listener` with each new snapshot, in the thread that has computed it."""
        self._listeners.append(listener)

    @property
    def newest(self) -> Snapshot | None:
        """The newest snapshot; None until the first one is computed. This property does not wait."""
        return self._snapshot

    def of(self, versions: Sequence[LoadedVersion]) -> Snapshot:
        """Return the newest snapshot with the tables of these versions, and compute missing tables.

        While the tables of a new publication are being computed, the snapshot of the previous publication is returned.

        Raises:
            NotPublished: nothing has been published yet.
            RetryableError: a table is missing, and the warehouse is unavailable.
        """
        snapshot = self._snapshot
        if snapshot is not None and snapshot.covers(versions):
            return snapshot
        return self._build(versions)

    def of_current_publication(self, versions: Sequence[LoadedVersion]) -> Snapshot:
        """Return the tables of the current publication, and wait until they are computed.

        Raises:
            NotPublished: nothing has been published yet.
            RetryableError: the warehouse is unavailable.
        """
        snapshot = self._snapshot
        if snapshot is not None and snapshot.covers(versions) and snapshot.publication == self._warehouse.publication():
            return snapshot
        return self._build(versions)

    def prepare(self, version: LoadedVersion) -> None:
        """Compute the table of a version before it serves. Without a publication, the first request computes it.

        Raises:
            PermanentError: the version cannot forecast the current key results.
        """
        if version.model.key_result_rows is None:
            return
        try:
            snapshot = self.of([version])
        except RetryableError as error:
            self._log.info("the forecasts of a version are computed later", version=version.key, why=str(error))
            return
        if version.key in snapshot.failed:
            raise PermanentError(f"{version.key} fails to forecast the current key results; the log says why.")

    def look(self) -> None:
        """Compute the tables of a new publication, if there is one, and of newly loaded versions."""
        snapshot, loaded = self._snapshot, _key_result_versions(self._runtime.loaded())
        if snapshot is None or not snapshot.covers(loaded) or snapshot.publication != self._warehouse.publication():
            self._build(loaded)

    def _build(self, versions: Sequence[LoadedVersion]) -> Snapshot:
        with self._building:
            for _ in range(ATTEMPTS):
                try:
                    snapshot = self._built(versions)
                except _Overtaken:
                    continue
                if snapshot is not self._snapshot:
                    self._snapshot = snapshot
                    for listener in self._listeners:
                        listener(snapshot)
                return snapshot
        raise RetryableError("New publications arrive faster than their forecasts can be computed. Try again.")

    def _built(self, versions: Sequence[LoadedVersion]) -> Snapshot:
        now, previous = self._warehouse.publication(), self._snapshot
        is_same = previous is not None and previous.publication == now
        if previous is not None and is_same and previous.covers(versions):
            return previous
        tables = dict(previous.tables) if previous is not None and is_same else {}
        failed = set(previous.failed) if previous is not None and is_same else set()
        wanted = {version.key: version for version in _key_result_versions([*self._runtime.loaded(), *versions])}
        rows: dict[str, _Rows] = {}
        for key, version in wanted.items():
            if key in tables or key in failed:
                continue
            try:
                computed = self._cache.get_or_compute(now, key, partial(self._computed, version, now, rows))
            except PermanentError as error:
                self._log.error("a version cannot forecast the current key results", version=key, error=str(error))
                failed.add(key)
            else:
                tables[key] = ForecastTable(computed.answers, computed.by_key_result_cycle())
        return Snapshot(now, tables, frozenset(failed))

    def _computed(self, version: LoadedVersion, now: Publication, rows: dict[str, _Rows]) -> CurrentForecasts:
        if version.model.name not in rows:
            found = self._warehouse.read(lambda reader: _read(reader, version))
            if found.publication != now:
                raise _Overtaken
            rows[version.model.name] = found.value
        read = rows[version.model.name]
        running = {_key(row) for row in read.key_results if row["status"] in RUNNING}
        features = [row for row in read.features if _key(row) in running]
        started, is_failed = time.perf_counter(), True
        try:
            forecasts = score_rows(version, features)
            is_failed = False
        finally:
            if self._observe is not None:
                self._observe(version, is_failed=is_failed, duration_s=time.perf_counter() - started)
        observe_drift(version, features, forecasts)
        return _answers(read.key_results, forecasts)

    def _run(self) -> None:
        self._runtime.wait_for_first_look()
        while not self._stopping.is_set():
            try:
                self.look()
            except NotPublished:
                pass  # the normal state before the first publication; /health reports it
            except RetryableError as error:
                self._log.warning("the forecasts of a new publication are not computed yet", error=str(error))
            self.thread.report_success()
            self._stopping.wait(self._look_every_s)


def score_rows(version: LoadedVersion, rows: Sequence[Row]) -> dict[KeyResultCycle, CachedForecast]:
    """Predict for feature rows in one batch, by key result and cycle.

    Raises:
        PermanentError: the version cannot predict for the rows, or an output breaks the model's output schema.
    """
    if not rows:
        return {}
    try:
        scored = version.score(rows)
    except PermanentError:
        raise
    except Exception as error:  # a model may raise anything
        raise PermanentError(f"{version.key} raised {type(error).__name__}: {error}") from error
    forecasts = {}
    for row, result in zip(rows, scored, strict=True):
        if fault := check_output(result.output, version.model.output):
            raise PermanentError(f"{version.key} returned an invalid output: {fault}.")
        forecasts[_key(row)] = CachedForecast(
            as_of=row["as_of"],
            known_at=row.get("known_at"),
            cycle_id=row["cycle_id"],
            team_id=row.get("team_id"),
            output=dict(result.output),
            reasons=result.reasons,
            contributions=dict(result.contributions),
            margin=result.margin,
        )
    return forecasts


def _read(reader: PublishedReader, version: LoadedVersion) -> _Rows:
    key_results = reader.rows(PACKAGE, "key_results", {"running": sorted(RUNNING)})
    running = sorted({row["key_result_id"] for row in key_results if row["status"] in RUNNING})
    read_features = version.model.key_result_rows
    return _Rows([] if read_features is None else read_features(reader, running), key_results)


def _answers(key_results: Sequence[Row], forecasts: Mapping[KeyResultCycle, CachedForecast]) -> CurrentForecasts:
    answers: dict[str, Answer] = {}
    others = []
    for row in key_results:
        forecast = forecasts.get(_key(row)) if row["status"] in RUNNING else None
        if row["is_current_cycle"]:
            answers[row["key_result_id"]] = forecast or no_forecast(row["key_result_id"], row)
        elif forecast is not None:
            others.append((*_key(row), forecast))
    return CurrentForecasts(answers, others)


def _key_result_versions(versions: Iterable[LoadedVersion]) -> list[LoadedVersion]:
    return [version for version in versions if version.model.key_result_rows is not None]


def _key(row: Row) -> KeyResultCycle:
    return row["key_result_id"], row["cycle_id"]
