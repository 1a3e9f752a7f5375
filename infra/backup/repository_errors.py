"""What restic's errors mean, and what the operator can do about them."""

from lakehouse.errors import PermanentError, RetryableError


class DiskFullError(RetryableError):
    """The disk of the repository is full."""


class VanishedError(RetryableError):
    """Files were deleted while they were being saved."""


class NoRepository(RetryableError):
    """There is no repository at this location, or it cannot be reached."""


def explained(said: str, location: str) -> RetryableError | PermanentError:
    """Return the error that restic's words about a repository describe."""
    if "wrong password or no key found" in said:
        return PermanentError(
            f"The repository {location} has another password. Expected the one with which it was created: compare "
            "OKR_BACKUP_PASSWORD with the copy that you keep elsewhere. Nothing was changed."
        )
    if "config file already exists" in said or "already initialized" in said:
        return PermanentError(f"There is a repository at {location} already. Use it, or choose another place.")
    return _temporary(said, location)


def _temporary(said: str, location: str) -> RetryableError:
    last = last_words(said)
    if "unable to open config file" in said:
        return NoRepository(
            f"There is no repository at {location}, or it cannot be reached: {last}. Is the disk mounted, and is "
            "OKR_BACKUP_REPOSITORY right? `okr backup init` creates a new one."
        )
    if "already locked" in said:
        return RetryableError(
            f"Another process uses the repository {location}: {last}. Wait until it ends, then try again."
        )
    if "no space left on device" in said or "disk quota exceeded" in said:
        return DiskFullError(
            f"The disk of the repository {location} is full. Nothing was stored, earlier backups are intact. Free some "
            "space: `okr backup prune`, which also works on a full disk, after lowering OKR_BACKUP_RETENTION_DAYS if "
            "it removes too little. Then try again."
        )
    if location.startswith("sftp:") and "sftp:" in said and "Failure" in said:
        return DiskFullError(
            f"The repository {location} refused to write ({last}). SFTP does not say why; most often, its disk is "
            "full. Nothing was stored, earlier backups are intact. Look at the disk of that host, then run `okr "
            "backup prune`."
        )
    return RetryableError(f"The repository {location} failed: {last}")


def last_words(said: str) -> str:
    """Return the last lines that restic has printed, without those about retries."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and "returned error, retrying" not in line]
    return " ".join(lines[-3:]).removeprefix("Fatal: ")[-500:]
