"""The unit of the firewall is valid, and runs in a sandbox."""

import subprocess

from infra.firewall.flow_table import FILE
from tests.ops.conftest import RequirePrograms

UNIT = FILE.with_name("firewall-okr.service")
MAX_EXPOSURE = 25  # systemd's score times ten


def test_the_unit_is_valid(require_programs: RequirePrograms) -> None:
    require_programs("nft", "systemd-analyze")
    checked = subprocess.run(["systemd-analyze", "verify", UNIT], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    scored = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", UNIT],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert scored.returncode == 0, scored.stdout
