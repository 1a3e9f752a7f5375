"""The one place that knows what may come from the caller's shell: our own process's environment and every child's.

Whatever else was exported (PG*, AIRFLOW__*, MLFLOW_*, DBT_*, a proxy, another stack's OKR_*) could lead a client to
another server or change what a library does, so it is left out: an allow-list, because no list of the harmful is whole.
"""

import os
import pwd
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# What a program needs to run at all.
SYSTEM = ("HOME", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "USER", "XDG_CACHE_HOME")
# How the caller's own terminal is to be written to.
TERMINAL = ("COLUMNS", "FORCE_COLOR", "LANG", "LC_ALL", "LC_CTYPE", "LINES", "NO_COLOR", "SHELL", "TERM")
# Credentials of a lake in a bucket; a lake in a folder does not read them.
CLOUD = ("AWS_", "AZURE_", "GOOGLE_")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# For downloads alone: of the children the `okr` command alone gets them, and no client of ours reads them.
DOWNLOADS = (*PROXIES, *(name.lower() for name in PROXIES), *CERTIFICATES)
OURS = "OKR_"
LIBPQ = "PG"


def isolate(state: Path) -> list[str]:
    """Reduce this process's environment to what the allow-list names; return what the user should know, a line each.

    Called once, by the command line, before a library has read the environment. Variables of ours stay:
    `lakehouse.settings` decides which of them count.
    """
    kept = {name: value for name, value in os.environ.items() if _may_stay(name)}
    missing = [name for name in CERTIFICATES if name in kept and not Path(kept[name]).exists()]
    remarks = [f"ignored {', '.join(missing)} from the environment: no such file or folder."] if missing else []
    for name in missing:
        del kept[name]
    _use_terminals_encoding(os.environ.get("PYTHONIOENCODING", ""))
    os.environ.clear()
    os.environ.update(kept | _person(state, kept) | {"TZ": "UTC"})
    time.tzset()
    tempfile.tempdir = None  # chosen again, from the TMPDIR that is left
    return remarks


def for_children(state: Path) -> dict[str, str]:
    """Return the environment that every child process starts from, whatever the caller exported."""
    inherited = {name: os.environ[name] for name in SYSTEM if name in os.environ}
    return inherited | _person(state, inherited) | {
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }  # fmt: skip


def for_own_commands(state: Path) -> dict[str, str]:
    """Return the environment of a child that is the `okr` command itself: it isolates itself, and it may download."""
    passed_on = {name: value for name, value in os.environ.items() if name in DOWNLOADS or name.startswith(OURS)}
    return for_children(state) | passed_on


def forget_libpq_variables() -> None:
    """Remove PGHOSTADDR, PGSERVICE, PGSSLMODE and their like: libpq prefers some of them to what a DSN does not say.

    A service that does not exist cannot be overruled by any parameter, so the variables themselves have to go.
    """
    for name in [name for name in os.environ if name.startswith(LIBPQ)]:
        del os.environ[name]


@contextmanager
def exported(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a library that takes its settings from the environment alone, and take them back."""
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


def _may_stay(name: str) -> bool:
    return name in (*SYSTEM, *TERMINAL, *DOWNLOADS) or name.startswith((OURS, *CLOUD))


def _person(state: Path, known: Mapping[str, str]) -> dict[str, str]:
    """Return HOME, USER, LOGNAME and PATH for a caller who may lack any of them, or an entry in /etc/passwd."""
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


def _use_terminals_encoding(asked: str) -> None:
    """Write what the terminal cannot show as `?` instead of failing; PYTHONIOENCODING may name its encoding."""
    encoding = asked.partition(":")[0] or None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.reconfigure(encoding=encoding, errors="replace")  # type: ignore[union-attr]
        except (AttributeError, LookupError):  # a stream of a test, or no encoding that Python knows
            continue
