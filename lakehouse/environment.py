"""The environment of this process and of its children, reduced to an allow-list of variables.

Other exported variables (PG*, AIRFLOW__*, MLFLOW_*, DBT_*, a proxy, another stack's OKR_*) could direct a client to
another server or change the behaviour of a library. They are not removed by name, because a list of harmful variables
would never be complete.
"""

import os
import pwd
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# Variables that every program needs.
SYSTEM = ("HOME", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "USER", "XDG_CACHE_HOME")
# Properties of the caller's terminal.
TERMINAL = ("COLUMNS", "FORCE_COLOR", "LANG", "LC_ALL", "LC_CTYPE", "LINES", "NO_COLOR", "SHELL", "TERM")
# Credentials for a lake in object storage. They are not used for a lake in a local folder.
CLOUD = ("AWS_", "AZURE_", "GOOGLE_")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# For downloads only. The only child processes that get them are `okr` commands, and our own clients ignore them.
DOWNLOADS = (*PROXIES, *(name.lower() for name in PROXIES), *CERTIFICATES)
OWN_PREFIX = "OKR_"
CREDENTIALS = "CREDENTIALS_DIRECTORY"  # the folder with a service's secrets, which only our own code reads
SYSTEMD = (CREDENTIALS, "NOTIFY_SOCKET")  # set by systemd for the process of a unit, not for its children
LIBPQ_PREFIX = "PG"


def isolate(state: Path) -> list[str]:
    """Reduce the environment of this process to the allow-list, and return remarks for the user, one line each.

    The command line calls this once, before any library reads the environment. OKR_* variables are kept, because
    `lakehouse.settings` decides which of them apply.
    """
    kept = {name: value for name, value in os.environ.items() if _is_allowed(name)}
    missing = [name for name in CERTIFICATES if name in kept and not Path(kept[name]).exists()]
    remarks = [f"ignored {', '.join(missing)} from the environment: no such file or folder."] if missing else []
    for name in missing:
        del kept[name]
    _use_terminal_encoding(os.environ.get("PYTHONIOENCODING", ""))
    os.environ.clear()
    os.environ.update(kept | _user_variables(state, kept) | {"TZ": "UTC"})
    time.tzset()
    tempfile.tempdir = None  # tempfile then determines it again, from the remaining TMPDIR
    return remarks


def for_children(state: Path) -> dict[str, str]:
    """Return the base environment of every child process. It does not depend on the caller's exported variables."""
    inherited = {name: os.environ[name] for name in SYSTEM if name in os.environ}
    return inherited | _user_variables(state, inherited) | {
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }  # fmt: skip


def for_own_commands(state: Path) -> dict[str, str]:
    """Return the environment of a child process that runs `okr`, which isolates itself and may download files."""
    passed_on = {name: value for name, value in os.environ.items() if name in DOWNLOADS or name.startswith(OWN_PREFIX)}
    return for_children(state) | passed_on


def remove_libpq_variables() -> None:
    """Remove PGSERVICE, PGSSLMODE and all other PG* variables, because libpq uses them for values that a DSN omits.

    Overriding them is not enough: no connection parameter overrides a PGSERVICE that names an unknown service.
    """
    for name in [name for name in os.environ if name.startswith(LIBPQ_PREFIX)]:
        del os.environ[name]


@contextmanager
def exported(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a library that reads its settings only from the environment, and restore the old values."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _is_allowed(name: str) -> bool:
    return name in (*SYSTEM, *TERMINAL, *DOWNLOADS, *SYSTEMD) or name.startswith((OWN_PREFIX, *CLOUD))


def _user_variables(state: Path, known: Mapping[str, str]) -> dict[str, str]:
    """Return HOME, USER, LOGNAME and PATH, even if they are not set or the user has no entry in /etc/passwd."""
    try:
        entry = pwd.getpwuid(os.geteuid())
        name, home = entry.pw_name, entry.pw_dir
    except KeyError:
        name, home = f"uid{os.geteuid()}", ""
    candidates = (folder for folder in (known.get("HOME", ""), home) if os.path.isabs(folder))  # noqa: PTH117
    usable = next((folder for folder in candidates if os.access(folder, os.W_OK | os.X_OK)), str(state / "home"))
    return {
        "HOME": usable,
        "USER": known.get("USER") or name,
        "LOGNAME": known.get("LOGNAME") or name,
        "PATH": known.get("PATH") or os.defpath,
    }


def _use_terminal_encoding(requested: str) -> None:
    """Print `?` for characters that the terminal cannot show. PYTHONIOENCODING may name the terminal's encoding."""
    encoding = requested.partition(":")[0] or None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.reconfigure(encoding=encoding, errors="replace")  # type: ignore[union-attr]
        except (AttributeError, LookupError):  # a stream replaced by a test, or an encoding that Python does not know
            continue
