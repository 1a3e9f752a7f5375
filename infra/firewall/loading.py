"""Load the rules of a host, and keep them in the file from which the host loads them when it starts."""

import subprocess
from pathlib import Path

from lakehouse.atomic_replace import replace_file
from lakehouse.errors import PermanentError

LIMIT_SECONDS = 30


def load(rules: str, file: Path) -> bool:
    """Load the rules in one transaction, then replace the file. Established connections continue.

    The file is replaced last, so that a host never starts with rules that it could not load before. Returns whether
    the file had other rules.

    Raises:
        PermanentError: nft rejected the rules, so the old ones apply; or the file could not be replaced.
    """
    try:
        done = subprocess.run(
            ["nft", "--file", "-"], input=rules, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS
        )
    except FileNotFoundError:
        raise PermanentError("The program nft is missing. Install the package nftables.") from None
    if done.returncode != 0:
        raise PermanentError(f"nft rejected the rules, so the old ones still apply: {' '.join(done.stderr.split())}")
    try:
        if file.is_file() and file.read_text(encoding="utf-8") == rules:
            return False
        replace_file(file, rules, mode=0o600)
    except OSError as error:
        raise PermanentError(
            f"The rules apply, but {file} could not be written ({error.strerror}), so after a restart this host has "
            "the old rules. Fix that, and run the command again."
        ) from error
    return True
