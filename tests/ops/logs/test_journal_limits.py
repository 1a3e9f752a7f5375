"""The limits that the playbook gives to a journal: a flood fills neither the disk nor the logs of others."""

import re
from pathlib import Path

from tests.ops.conftest import RequirePrograms
from tests.ops.server.conftest import container

LIMIT_MB, BURST = 32, 20_000
FLOOD = f"i=0; while [ $i -lt 60000 ]; do echo line $i of a flood {'x' * 40}; i=$((i+1)); done"


def test_a_flood_is_bounded_and_the_lines_that_are_dropped_are_counted(
    require_programs: RequirePrograms, tmp_path: Path
) -> None:
    require_programs("systemd-nspawn", "mmdebstrap")
    folder, wheels = tmp_path / "machine", tmp_path / "wheels"
    for each in (folder, wheels):
        each.mkdir()
    (wheels / "inventory").write_text("[okr]\nlocalhost\n", encoding="ascii")
    variables = {"okr_journal_max_use": f"{LIMIT_MB}M", "okr_journal_burst": BURST}
    with container(folder, wheels, variables) as server:
        machine = server.machine
        assert server.provision("--tags", "logs")["changed"] > 0
        assert server.provision("--tags", "logs")["changed"] == 0
        machine.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/okr-logs.conf")
        assert machine.output("stat", "--format=%a", "/run/okr/log-levels") == "755"
        for number in range(8):
            machine.run("systemd-run", "--wait", "--quiet", f"--unit=flood-{number}", "sh", "-c", FLOOD, seconds=200)
        machine.run("systemd-run", "--wait", "--quiet", "--unit=quiet", "echo", "a line of another unit")
        machine.run("journalctl", "--sync")
        megabytes = int(machine.output("du", "-sm", "/var/log/journal").split()[0])
        # A journal deletes whole files, which here have an eighth of the limit each.
        assert megabytes <= LIMIT_MB * 1.25
        assert "a line of another unit" in machine.journal("quiet")
        # journald raises the burst while the disk has space, up to six times.
        assert BURST <= len(machine.journal("flood-7")) < 60_000
        everything = machine.output("journalctl", "--output", "cat", "--no-pager")
        dropped = [int(each) for each in re.findall(r"Suppressed (\d+) messages from flood-\d", everything)]
        assert dropped, "the journal says how many lines it dropped"
