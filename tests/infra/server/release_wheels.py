"""Wheels of releases that contain only the command `okr`, so that they are installed in a second."""

import zipfile
from pathlib import Path

OKR = "#!/bin/sh\necho {version}\n"


def release_wheel(folder: Path, version: str, *, okr: str = OKR, lock: str | None = "") -> Path:
    """Write the wheel of a release. `lock` is the content of its hash lock; without one, it has none."""
    wheel = folder / f"okr_lakehouse-{version}-py3-none-any.whl"
    about = f"okr_lakehouse-{version}.dist-info"
    files = {
        f"okr_lakehouse-{version}.data/scripts/okr": okr.format(version=version),
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: okr-lakehouse\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    } | ({} if lock is None else {"infra/server/requirements.txt": lock})
    record = f"{about}/RECORD"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(record, "".join(f"{name},,\n" for name in (*files, record)))
    return wheel
