"""Tests of operations: nginx, systemd, firewall, TLS, deployment and containers, on the real programs.

They need root and the Debian packages of .ci/packages-ops.txt. A test that finds neither is skipped, but fails in CI.
"""

import os
import shutil
from collections.abc import Callable
from typing import NoReturn

import pytest

RequirePrograms = Callable[..., None]


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def require_programs() -> RequirePrograms:
    """Return a function that skips the test, or fails in CI, unless the caller is root and the programs exist."""

    def require(*programs: str) -> None:
        absent = [name for name in programs if shutil.which(name) is None]
        if os.geteuid() != 0 or absent:
            missing(
                f"needs root and {', '.join(absent) or 'nothing else'}; `.ci/system-packages ops` installs programs"
            )

    return require
