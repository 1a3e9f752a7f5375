"""What is checked before a deployment changes anything."""

import shutil

from infra.deploy.host import COLOURS, Host
from infra.deploy.units import Units
from lakehouse.errors import NotPossible, PermanentError
from lakehouse.settings import Settings


def check_api(host: Host, units: Units) -> None:
    """Check that this host is meant to run the API.

    Raises:
        NotPossible: it is not.
    """
    colours = [host.api_unit(colour) for colour in COLOURS]
    if not any(units.is_enabled(unit) or units.pid(unit) is not None for unit in colours):
        raise NotPossible(
            f"Expected a host with an API, but neither {colours[0]} nor {colours[1]} is enabled here. Nothing was "
            "changed. On other hosts, choose the release with `okr-release use` (docs/deployment.md, Several hosts). "
            f"For the first API of this host, run `systemctl enable {colours[0]}` before."
        )


def check_settings(host: Host, settings: Settings, *fields: str) -> None:
    """Check that the settings which the next steps need are not empty.

    Raises:
        PermanentError: some are; the message names them all.
    """
    empty = [field for field in fields if not getattr(settings, field).get_secret_value()]
    if empty:
        names = ", ".join(f"OKR_{field.upper()}" for field in empty)
        files = ", ".join(f"{host.secrets}/okr_{field}" for field in empty)
        raise PermanentError(
            f"`okr deploy` needs {names}, which this host does not have. Nothing was changed. Expected the files "
            f"{files}, or variables."
        )


def check_disk(host: Host) -> None:
    """Check that the disks of releases and of the journal have space.

    Raises:
        PermanentError: one has less than `limits.min_free_mb`.
    """
    for folder in (host.root, host.state):
        free_mb = shutil.disk_usage(folder).free // 1_000_000
        if free_mb < host.limits.min_free_mb:
            raise PermanentError(
                f"{folder} has {free_mb} MB free; expected at least {host.limits.min_free_mb} MB. Delete old releases "
                "or free disk space. Nothing was changed."
            )
