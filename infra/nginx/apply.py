"""Give nginx a configuration: it gets the new one as a whole, or keeps the old one."""

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from os import fsync
from pathlib import Path
from shutil import which

from infra.nginx.certificates import PROXY, SERVICE, SOON, check_certificate, check_peer_certificate, missing_issuer
from infra.nginx.site import Site, configuration
from lakehouse.errors import PermanentError
from lakehouse.folder_lock import locked

PACKAGE = "`sudo apt-get install nginx-light` (Debian) or `sudo dnf install nginx` (Oracle Linux) installs it"
RELOAD_S = 15.0  # nginx tries for 2.5 s to bind a port that another program has
_FAILURE = re.compile(r"\[emerg\] [^ ]+ (.*)")
Say = Callable[[str], None]


def nginx_program() -> str:
    """Return the path of nginx.

    Raises:
        PermanentError: it is not installed.
    """
    # Debian's /usr/sbin is not on the PATH of ordinary users.
    found = which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    if found is None:
        raise PermanentError(f"nginx is not installed: {PACKAGE}.")
    return found


def apply(site: Site, file: Path, say: Say) -> bool:
    """Write nginx's configuration and let a running nginx load it. Return whether anything changed.

    The certificates and the new configuration are checked first. If the check fails, or the running nginx refuses to
    load the configuration, the old file is kept or restored, and nginx continues with what it has. After an
    interruption, the next call completes the change.

    Raises:
        PermanentError: a certificate or the configuration is not usable; the message says why.
    """
    program = nginx_program()
    _check_certificates(site, say)
    try:
        if site.http_listen and not site.acme_folder.exists():
            site.acme_folder.mkdir(parents=True)
            site.acme_folder.chmod(0o755)  # nginx's user reads it, whatever the umask is
        return _replace(site, file, program, say)
    except OSError as error:
        raise PermanentError(
            f"nginx was not configured ({error}). Is {file.parent} the folder of nginx, does this user have the right "
            "to write there, and is there space?"
        ) from error


def _replace(site: Site, file: Path, program: str, say: Say) -> bool:
    """Replace the file and let nginx load it, as `apply` describes."""
    with locked(file.parent):
        content = configuration(site).encode()
        state = _state(site, content)
        candidate, previous, marker = (file.with_name(f".{file.name}.{end}") for end in ("new", "old", "loaded"))
        if file.is_file() and file.read_bytes() == content and _text(marker) == state:
            say("nginx already has this configuration and certificate.")
            return False
        try:
            _write(candidate, content)
            _check(program, candidate)
            marker.unlink(missing_ok=True)
            # Until the new file is loaded, this link keeps the one that nginx has. It survives an interruption.
            if file.is_file() and not previous.exists():
                previous.hardlink_to(file)
            candidate.replace(file)
        finally:
            candidate.unlink(missing_ok=True)
        try:
            is_running = _reload(site)
        except PermanentError:
            if previous.exists():
                previous.replace(file)
            raise
        previous.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # without it, the next call only loads the same configuration again
            _write(marker, state.encode())
    say("nginx has loaded the new configuration." if is_running else f"{file} is written. nginx is not running yet.")
    return True


def _check_certificates(site: Site, say: Say) -> None:
    ends = {}
    if site.https_listen:
        ends[site.certificate] = check_certificate(site.certificate, site.key, site.host)
        if issuer := missing_issuer(site.certificate):
            say(
                f"{site.certificate} does not have the certificate of its issuer ({issuer}). Unless every client "
                "trusts this authority itself, use the file with the whole chain (certbot: fullchain.pem)."
            )
    if site.has_internal_certificate:
        ends[site.internal_certificate] = check_peer_certificate(site.internal_certificate, site.internal_key, PROXY)
    if site.has_client_certificate:
        ends[site.client_certificate] = check_peer_certificate(site.client_certificate, site.client_key, SERVICE)
    for certificate, ends_at in ends.items():
        if ends_at - datetime.now(UTC) < SOON:
            say(f"The certificate {certificate} expires on {ends_at:%Y-%m-%d}: renew it.")


def _state(site: Site, content: bytes) -> str:
    """Return a digest of what nginx reads: the configuration, and its certificates and authorities."""
    digest = hashlib.sha256(content)
    files = [site.certificate] if site.https_listen else []
    files += [site.internal_certificate, site.authority_file] if site.has_internal_certificate else []
    files += [site.client_certificate] if site.has_client_certificate else []
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _check(program: str, file: Path) -> None:
    """Let nginx check a configuration.

    Raises:
        PermanentError: nginx refuses it.
    """
    result = subprocess.run(
        [program, "-e", "stderr", "-t", "-q", "-c", str(file)], capture_output=True, text=True, check=False, timeout=30
    )
    if result.returncode != 0:
        failures = _FAILURE.findall(result.stderr) or [result.stderr.strip()]
        raise PermanentError(f"nginx refuses the new configuration and keeps the old one: {'; '.join(failures)}")


def _reload(site: Site) -> bool:
    """Let the running nginx load its configuration, and wait until it has. Return False if nginx is not running.

    Raises:
        PermanentError: it continues with the old configuration.
    """
    master = _master(site.pid_file)
    if master is None:
        return False
    old = _workers(master)
    log_end = site.error_log.stat().st_size if site.error_log.is_file() else 0
    os.kill(master, signal.SIGHUP)
    deadline = time.monotonic() + RELOAD_S
    while time.monotonic() < deadline:
        workers = _workers(master)
        if workers and not workers & old:
            return True
        failures = _FAILURE.findall(_text_from(site.error_log, log_end))
        # nginx tries again to bind ports before it gives up.
        if failures and (not failures[-1].startswith("bind() ") or "still could not bind" in failures[-1]):
            raise PermanentError(f"nginx keeps the old configuration: {failures[0]}")
        time.sleep(0.05)
    raise PermanentError(f"nginx did not load the new configuration within {RELOAD_S:g} s. See {site.error_log}.")


def _master(pid_file: Path) -> int | None:
    """Return the process id of the running nginx."""
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        is_nginx = Path("/proc", str(pid), "comm").read_text(encoding="ascii").strip() == "nginx"
    except (OSError, ValueError):
        return None
    return pid if is_nginx else None


def _workers(master: int) -> set[str]:
    """Return the process ids of the workers that accept connections."""
    found = set()
    for pid in Path("/proc", str(master), "task", str(master), "children").read_text(encoding="ascii").split():
        with contextlib.suppress(OSError):  # it has just ended
            if "is shutting down" not in Path("/proc", pid, "cmdline").read_text(encoding="utf-8"):
                found.add(pid)
    return found


def _write(file: Path, content: bytes) -> None:
    """Write a file to the disk, so that a power cut after it was renamed does not leave it empty."""
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        fsync(opened.fileno())


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except OSError:
        return ""


def _text_from(file: Path, offset: int) -> str:
    try:
        with file.open("rb") as opened:
            opened.seek(offset)
            return opened.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
