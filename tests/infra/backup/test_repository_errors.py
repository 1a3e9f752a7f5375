"""What restic's errors mean."""

import pytest

from infra.backup.repository_errors import DiskFullError, NoRepository, explained


@pytest.mark.parametrize(("said", "kind", "words"), [
    ("Fatal: unable to save snapshot: write: no space left on device", DiskFullError, "`okr backup prune`, which also"),
    ('Save(<data/1>) returned error, retrying\nFatal: sftp: "Failure" (SSH_FX)', DiskFullError, "SFTP does not"),
    ("Fatal: unable to open config file: Stat: no such file", NoRepository, "There is no repository at"),
])  # fmt: skip
def test_an_error_says_what_to_do(said: str, kind: type[Exception], words: str) -> None:
    error = explained(said, "sftp:backup@backup-1:/srv/okr")
    assert type(error) is kind
    assert words in str(error)
