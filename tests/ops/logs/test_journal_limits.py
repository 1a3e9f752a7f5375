"""The limits that the playbook gives to a journal: a flood fills neither the disk nor the logs of others."""

import re
from pathlib import Path

import yaml

from tests.ops.conftest import RequirePrograms
from tests.ops.server.machine import booted

ROOT = Path(__file__).parents[3]
LIMIT_MB = 32
FLOOD = f"i=0; while [ $i -lt 60000 ]; do echo line $i of a flood {'x' * 40}; i=$((i+1)); done"


def settings_of(**variables: str) -> str:
    """Return the file that the role `logs` writes."""
    tasks = yaml.safe_load((ROOT / "infra/server/roles/logs/tasks/main.yml").read_text(encoding="utf-8"))
    (text,) = (task["ansible.builtin.copy"]["content"] for task in tasks if "Limit the journal" in task["name"])
    return re.sub(r"\{\{ (\w+) \}\}", lambda found: variables[found[1]], text)


def test_a_flood_is_bounded_and_the_lines_that_are_dropped_are_counted(
    require_programs: RequirePrograms, tmp_path: Path
) -> None:
    require_programs("systemd-nspawn", "mmdebstrap")
    settings = tmp_path / "settings"
    settings.mkdir()
    text = settings_of(okr_journal_max_use=f"{LIMIT_MB}M", okr_journal_retention="30day", okr_journal_burst="20000")
    # A smaller file, because a journal deletes whole files.
    for before, after in (("MaxFileSize=64M", "MaxFileSize=8M"), ("KeepFree=1G", "KeepFree=1M")):
        assert before in text
        text = text.replace(before, after)
    (settings / "okr.conf").write_text(text, encoding="utf-8")
    folder = tmp_path / "machine"
    folder.mkdir()
    with booted(folder, {settings: "/mnt/settings"}, {}) as machine:
        machine.run("mkdir", "-p", "/etc/systemd/journald.conf.d", "/var/log/journal")
        machine.run("cp", "/mnt/settings/okr.conf", "/etc/systemd/journald.conf.d/okr.conf")
        machine.run("systemctl", "restart", "systemd-journald")
        for number in range(4):
            machine.run("systemd-run", "--wait", "--quiet", f"--unit=flood-{number}", "sh", "-c", FLOOD, seconds=200)
        machine.run("systemd-run", "--wait", "--quiet", "--unit=quiet", "echo", "a line of another unit")
        machine.run("journalctl", "--sync")
        kilobytes = int(machine.output("du", "-s", "/var/log/journal").split()[0])
        assert kilobytes <= (LIMIT_MB + 8) * 1024
        assert machine.journal("quiet") == ["a line of another unit"]
        kept = machine.journal("flood-3")
        assert 0 < len(kept) <= 20_100
        everything = machine.output("journalctl", "--output", "cat", "--no-pager")
        dropped = [int(each) for each in re.findall(r"Suppressed (\d+) messages from flood-\d", everything)]
        assert dropped, "the journal says how many lines it dropped"
