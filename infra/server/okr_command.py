#!/usr/bin/python3.11 -I
"""`okr` on a server: run a command of the release `current` with the settings and secrets of this host, as root.

Ansible copies this file to /usr/local/sbin/okr. A command that reads or writes the files of a service runs as the
service's user, with the secrets of its unit. `okr produce spool` runs once for each service with a spool;
`OKR_STATE=/var/lib/okr/metrics okr produce spool status` chooses one. Variables of the caller take precedence over the
settings.
"""

import os
import pwd
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

OKR = "/opt/okr/current/.venv/bin/okr"
STATE, CONFIG, UNITS = Path("/var/lib/okr"), Path("/etc/okr"), Path("/etc/systemd/system")
# The state folder in /var/lib/okr by the first words of a command. Its owner runs the command.
FOLDERS: Mapping[tuple[str, ...], str] = {
    (): "operator",  # root's
    ("backup",): "backup",
    ("installation",): "",  # the audit checks all folders
    ("lake",): "land",
    ("load",): "land",
}
SPOOLS = ("produce", "spool")  # in several folders: each service has its own, and imports have the operator's
BACKUPS = ("backup", "restore")  # with the credentials of object storage, as in the units
NEEDS_ADMINISTRATOR = ("installation", "kafka")  # Kafka shows its users and rights to okr-admin only
LOADED = re.compile(r"^LoadCredential=(\w+):(\S+)$", re.MULTILINE)


def main(arguments: Sequence[str]) -> NoReturn:
    """Run the command and exit with its status, or with status 1 if it cannot be run."""
    if os.geteuid() != 0:
        sys.exit("okr: expected root, who can read the secrets of this host. Use `sudo okr ...`.")
    folders = folders_of(arguments, STATE, os.environ)
    if len(folders) == 1:
        _run(arguments, folders[0])
    sys.exit(max((_run_and_wait(arguments, folder) for folder in folders), default=0))


def folders_of(arguments: Sequence[str], state: Path, given: Mapping[str, str]) -> list[Path]:
    """Return the state folders for which a command runs: one, or for spools all that have a spool."""
    if given.get("OKR_STATE"):
        return [Path(given["OKR_STATE"])]
    if tuple(arguments[: len(SPOOLS)]) == SPOOLS:
        return sorted(folder.parent for folder in state.glob("*/spool")) or [state / "operator"]
    matching = [words for words in FOLDERS if tuple(arguments[: len(words)]) == words]
    return [state / FOLDERS[max(matching, key=len)]]


def _run_and_wait(arguments: Sequence[str], state: Path) -> int:
    sys.stderr.write(f"{state}:\n")
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        _run(arguments, state)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _run(arguments: Sequence[str], state: Path) -> NoReturn:
    """Replace this process with the command, or exit with status 1."""
    try:
        owner = pwd.getpwuid(state.stat().st_uid)
        environment = variables(arguments, os.environ, CONFIG) | {"OKR_STATE": str(state)}
        if owner.pw_uid == 0:
            environment["CREDENTIALS_DIRECTORY"] = str(CONFIG / "secrets")
        else:
            environment |= secrets_of(owner.pw_name, UNITS.glob("okr-*.service"))
            _become(owner, state)
        os.umask(0o007)  # services share the lake and the models as members of the group okr
        os.execve(OKR, [OKR, *arguments], environment)  # noqa: S606 -- our own program, without a shell
    except FileNotFoundError as error:
        sys.exit(
            f"okr: there is no {error.filename}. Expected a release, settings, and a service that has started once."
        )


def variables(arguments: Sequence[str], given: Mapping[str, str], config: Path) -> dict[str, str]:
    """Return the environment of a command: settings, the operator's user of Kafka, and what the caller has set."""
    lines = (config / "okr.env").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    settings = {name: value for name, _, value in pairs}
    if {*arguments[:1]} & {*BACKUPS}:
        settings |= _variables_of(config / "backup.env")
    if "OKR_KAFKA_USER" not in given:
        user = "admin" if {*arguments[:1]} & {*NEEDS_ADMINISTRATOR} else "operator"
        password = config / "secrets" / f"okr_kafka_password_{user}"
        if password.is_file():
            settings |= {"OKR_KAFKA_USER": f"okr-{user}", "OKR_KAFKA_PASSWORD": _secret(password)}
    return {**settings, "OKR_SETTINGS": "environment", **given}


def _variables_of(file: Path) -> dict[str, str]:
    """Return the variables of an EnvironmentFile of systemd that contains one per line; none if there is no file."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else ()
    pairs = (line.strip().partition("=") for line in lines if "=" in line and not line.lstrip().startswith(("#", ";")))
    return {name: re.sub(r"^(['\"])(.*)\1$", r"\2", value) for name, _, value in pairs}


def secrets_of(user: str, units: Iterable[Path]) -> dict[str, str]:
    """Return the secrets that the units of a user load, as variables. The user cannot read their files.

    Kafka's password is not among them: the operator has a user of their own.
    """
    texts = [unit.read_text(encoding="utf-8") for unit in units]
    loaded = [pair for text in texts if f"\nUser={user}\n" in text for pair in LOADED.findall(text)]
    return {
        name.upper(): _secret(Path(file))
        for name, file in loaded
        if name != "okr_kafka_password" and Path(file).is_file()
    }


def _secret(file: Path) -> str:
    return file.read_text(encoding="utf-8").removesuffix("\n")


def _become(owner: pwd.struct_passwd, state: Path) -> None:
    os.initgroups(owner.pw_name, owner.pw_gid)
    os.setgid(owner.pw_gid)
    os.setuid(owner.pw_uid)
    os.chdir(state)  # the caller's folder may be closed to this user


if __name__ == "__main__":
    main(sys.argv[1:])
