"""Make another version of a model active on every worker of every host, and wait until all have loaded it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ml import model_registry
from serving.errors import NotFound
from serving.models.control import CHAMPION, Directive, add_directive
from serving.models.runtime import ModelRuntime
from serving.models.worker_models import workers_of_model
from serving.publication_reader import Row, Warehouse

LONGEST_WAIT_S = 30.0
POLL_S = 0.1


@dataclass(frozen=True)
class LoadOutcome:
    """A directive and the live workers. `is_loaded` says whether all of these workers serve the version."""

    directive: Directive
    version: str | None
    workers: Sequence[Row]
    is_loaded: bool


class ModelLoading:
    """Stores directives. They survive restarts, and workers that start later follow them as well."""

    def __init__(self, warehouse: Warehouse, runtime: ModelRuntime, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        self._warehouse = warehouse
        self._runtime = runtime
        self._longest_wait_s = longest_wait_s

    def load(self, model_name: str, reference: str, by: str) -> LoadOutcome:
        """Make a version active on all workers, given by its number, or by an alias to follow.

        This worker first loads the version itself, so that a version that cannot be loaded changes nothing. Then it
        waits until every live worker has loaded the version or reported why it could not, but at most LONGEST_WAIT_S.

        Raises:
            NotFound: there is no such model, alias or version.
            NotLoadable: the version's files are missing, changed, or incompatible with this code.
            RetryableError: the registry or PostgreSQL is unavailable.
        """
        model = self._runtime.catalog.get(model_name)
        version = model_registry.resolve(self._runtime.settings, reference, model.name)
        if version is not None:
            self._runtime.try_load(model, version)
        elif reference != CHAMPION or model.rule is None:  # the rule serves while there is no champion
            raise NotFound(
                f"The registry has no version or alias {reference!r} of {model.name}; GET /models lists its versions."
            )
        directive = add_directive(self._warehouse, model.name, reference, by)
        self._runtime.wake()
        workers, deadline = self._workers(model.name), time.monotonic() + self._longest_wait_s
        while not _all_done(workers, directive) and time.monotonic() < deadline:
            time.sleep(POLL_S)
            workers = self._workers(model.name)
        is_loaded = _all_done(workers, directive) and all(_serves(worker, version) for worker in workers)
        return LoadOutcome(directive, version, workers, is_loaded)

    def _workers(self, model_name: str) -> list[Row]:
        return workers_of_model(self._warehouse, model_name)


def _all_done(workers: Sequence[Row], directive: Directive) -> bool:
    return all(worker["is_unaware"] or (worker["directive_id"] or 0) >= directive.directive_id for worker in workers)


def _serves(worker: Row, version: str | None) -> bool:
    """Return whether a worker serves the version. If the version is None, return whether it serves any version."""
    active = [each["version"] for each in worker["versions"] if each["is_active"]]
    return bool(active) if version is None else version in active
