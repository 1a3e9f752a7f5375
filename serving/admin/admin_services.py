"""Build the services behind /admin."""

from dataclasses import dataclass

from lakehouse.settings import Settings
from serving.admin.changes import Changes
from serving.admin.gate_results.service import GateResults
from serving.admin.publications.service import Publications
from serving.admin.quarantine.service import Quarantine
from serving.publication_reader import Warehouse


@dataclass(frozen=True)
class Admin:
    """The services behind /admin. None of them depends on HTTP."""

    publications: Publications
    gate_results: GateResults
    quarantine: Quarantine


def build_admin(settings: Settings, warehouse: Warehouse) -> Admin:
    """Build the services, without connecting to anything yet."""
    changes = Changes()
    return Admin(
        publications=Publications(settings, warehouse, changes),
        gate_results=GateResults(warehouse),
        quarantine=Quarantine(settings, changes),
    )
