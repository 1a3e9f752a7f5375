"""Each alert has a runbook, all runbooks have one shape, and what their commands name exists.

tests/ops/runbooks runs the commands on a stack that is broken in these ways.
"""

import re
from fnmatch import fnmatch

import pytest
import typer
import yaml

from lakehouse.cli import build
from tests.runbooks import FOLDER, LOCAL, PAGES, ROOT, SERVER, SHAPE, lines, sections, words_after

RULES = sorted((ROOT / "infra" / "prometheus" / "rules").glob("*.yml"))
ALERTS = [
    rule
    for file in RULES
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
# Units of Debian's packages and of Kafka's (infra/kafka); the others are ours.
FOREIGN_UNITS = {
    "nginx", "postgresql", "postgresql@18-main", "redis-server", "kafka", "prometheus", "prometheus-alertmanager",
    "prometheus-node-exporter",
    "systemd-timesyncd",
}  # fmt: skip
READING = {"status", "show", "list-units", "list-timers"}
ACTIONS = READING | {"start", "stop", "restart", "try-restart", "reload", "reset-failed"}
# What other users of a server cannot read: its journal, the socket of the API, secrets, and the folders of services.
PRIVATE = re.compile(r"\bjournalctl\b|--unix-socket|/etc/okr/secrets|/root/|/var/lib/okr/\w+/|\bnginx -t\b")
CHANGES = re.compile(
    r"\b(restart|start|stop|resume|rollback|drain|apply|rotate|new|maintain|repair|clear|migrate|up|down|rm|delete|"
    r"vacuum\S*|terminate_backend|reset)\b"
)
ALL_LINES = [line for page in PAGES for line in lines(page)]
COMMANDS = typer.main.get_command(build())


def kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_has_its_runbook(rule):
    name = kebab(rule["alert"])
    assert rule["annotations"]["runbook"] == f"docs/runbooks/{name}.md"
    page = FOLDER / f"{name}.md"
    assert page.is_file(), f"Write {page.relative_to(ROOT)} in the shape of the other runbooks."
    assert page.read_text(encoding="utf-8").startswith(f"# {rule['alert']}: "), "the title begins with the alert"


def test_there_are_alerts():
    assert len(ALERTS) > 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_runbook_has_the_shape(page):
    found = sections(page)
    assert (*found,) == SHAPE
    assert not [section for section, text in found.items() if not text.strip()]
    for line in page.read_text(encoding="utf-8").splitlines():
        assert not line.lstrip().startswith("```") or re.fullmatch(r" *```(sh (server|local))?", line), line


def test_the_index_names_every_runbook():
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert not [page.stem for page in PAGES if f"[{page.stem}]({page.name})" not in index]


def test_every_anchor_exists():
    for page in PAGES:
        for file, anchor in re.findall(r"\]\(([^)#:]+)#([^)]+)\)", page.read_text(encoding="utf-8")):
            headings = re.findall(r"^#+ (.+)$", (page.parent / file).read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{page.name}: {file}#{anchor}"


def refusal(words: list[str]) -> str:
    """Return why `okr` would not accept the words, or nothing."""
    command, rest = COMMANDS, list(words)
    while hasattr(command, "commands"):
        if command.invoke_without_command and (not rest or rest[0].startswith("-")):
            break
        name = rest.pop(0) if rest else ""
        if name not in command.commands:
            return f"there is no command {name!r}"
        command = command.commands[name]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return ", ".join({word.split("=")[0] for word in rest if word.startswith("--")} - options)


def test_every_okr_command_and_option_exists():
    calls = [(line, words) for line in ALL_LINES for words in words_after(line.text, "okr")]
    assert len(calls) > 150
    assert not [f"{line}: {why}" for line, words in calls if (why := refusal(words))]
    assert refusal(["lake", "verfy"]) == "there is no command 'verfy'"
    assert refusal(["lake", "verify", "--fast"]) == "--fast"


def test_commands_of_servers_are_run_by_root_and_those_of_a_stack_are_not():
    for line in ALL_LINES:
        if words_after(line.text, "okr"):
            assert ("sudo okr " in line.text) == (line.where == SERVER), line
            assert (".venv/bin/okr " in line.text) == (line.where == LOCAL), line


def test_every_unit_exists_and_every_action_is_known():
    units = {file.name for file in (ROOT / "infra" / "server" / "systemd").glob("okr*")}
    seen = 0
    for line in ALL_LINES:
        for words in words_after(re.sub(r"'(okr-[\w@*.-]+)'", r"\1", line.text), "systemctl"):
            action, *names = [word for word in words if not word.startswith("-")]
            assert action in ACTIONS, line
            assert action in READING or "sudo systemctl " in line.text, f"{line}: only root may do this"
            for name in names:
                seen += 1
                if name in FOREIGN_UNITS or name in {"okr-*", "okr-*.timer"}:
                    continue
                file = re.sub(r"@.*", "@", name)
                known = [unit for unit in units if fnmatch(unit.rpartition(".")[0], file) or unit == file]
                assert known, f"{line}: there is no unit {name}"
    assert seen > 40


def test_every_journal_is_that_of_a_unit():
    units = {re.sub(r"@?\.service$", "", file.name) for file in (ROOT / "infra" / "server" / "systemd").glob("okr*")}
    for line in ALL_LINES:
        for name in re.findall(r"-u '?([\w@*.-]+)", line.text) if "journalctl" in line.text else ():
            unit = re.sub(r"@.*", "", name)
            assert unit in units | FOREIGN_UNITS or name == "okr-*", line


def test_what_only_root_can_read_is_read_by_root():
    private = [line for line in ALL_LINES if line.where == SERVER and PRIVATE.search(line.text)]
    assert len(private) > 15
    assert not [str(line) for line in private if not re.search(r"\bsudo |\bssh root@", line.text)]


def test_no_journal_is_searched_by_priority():
    """Lines of our services have the priority 6 in the journal, whatever their level: `okr logs --level` reads it."""
    assert not [str(line) for line in ALL_LINES if re.search(r"journalctl .*(-p |--priority)", line.text)]


def test_every_service_of_the_local_stack_exists():
    from infra.local.services import NAMES

    for line in ALL_LINES:
        for name in re.findall(r"okr:([a-z-]+)", line.text):
            assert name in NAMES, line
        for name in re.findall(r"\.state/logs/([a-z-]+)\.log", line.text):
            assert name in {*NAMES, "supervisord"}, line


def test_a_first_look_and_a_check_change_nothing():
    for line in (line for page in PAGES for line in lines(page, "First look", "Verify")):
        plain = re.sub(r"--restore|'[^']*'|\"[^\"]*\"", "", line.text)
        assert not CHANGES.search(plain), line


def test_every_make_target_exists():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))}
    assert "up" in named
    assert named <= {*targets}
