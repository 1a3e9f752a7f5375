"""Which secrets the units of a host load, read from the units themselves."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

LOADED = re.compile(r"^LoadCredential=(\w+):/etc/okr/secrets/okr_(\w+)$", re.MULTILINE)


def unit_secrets(units: Iterable[str], folder: str) -> dict[str, str]:
    """Return the names of the secrets that units or their drop-ins load, each with a unit that requires it.

    Names are those of the files, without `okr_`. The unit is "" if all of them have a default value (`SetCredential`).

    Raises:
        ValueError: there is no such unit.
    """
    found: dict[str, str] = {}
    for unit in units:
        files = _files(unit, Path(folder))
        if not files:
            raise ValueError(f"{unit} is not a unit. Expected the name of a file in {folder}, such as okr-land@1.")
        for file in files:
            text = file.read_text(encoding="utf-8")
            for credential, secret in LOADED.findall(text):
                is_optional = f"SetCredential={credential}:" in text
                found[secret] = found.get(secret) or ("" if is_optional else unit)
    return found


def _files(unit: str, folder: Path) -> list[Path]:
    """Return the file of a unit, and the drop-ins for it and its prefixes."""
    name = f"{re.sub('@.*', '@', unit)}.service"
    drop_ins = (
        file
        for file in sorted(folder.glob("*.service.d/*.conf"))
        if unit.startswith(file.parent.name.removesuffix(".service.d"))
    )
    return [folder / name, *drop_ins] if (folder / name).is_file() else []


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters by name."""
        return {"unit_secrets": unit_secrets}
