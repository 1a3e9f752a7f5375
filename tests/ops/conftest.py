"""Tests of operations: nginx, systemd, firewall, TLS, deployment and containers, on the real programs.

They need root and the Debian packages of .ci/packages-ops.txt. A test that finds neither is skipped, but fails in CI.
"""

import os
import shutil
from collections.abc import Callable

import pytest

RequirePrograms = Callable[..., None]


@pytest.fixture(scope="session")
def require_programs() -> RequirePrograms:
    """Return a function that skips the test, or fails in CI, unless the caller is root and the programs exist."""

    def require(*programs: str) -> None:
        missing = [name for name in programs if shutil.which(name) is None]
        if os.geteuid() == 0 and not missing:
            return
        reason = f"needs root and {', '.join(missing) or 'nothing else'}; `.ci/system-packages ops` installs programs"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)

    return require
