"""Making sure that a file is on the disk, not in the kernel's memory alone. delta-rs and pyarrow never do it.

An object store has a file durably once it has it at all, so nothing is done there.
"""

import os
from collections.abc import Iterable
from pathlib import Path

MANY = 32  # from here on one flush of everything is quicker: a batch of two years writes 730 files, 3 s one by one


def sync(paths: Iterable[Path]) -> None:
    """Flush files, and the folders that name them, to the disk.

    Raises:
        OSError: a file is not there, or the disk failed.
    """
    files = list(paths)
    if len(files) >= MANY:
        os.sync()
        return
    for path in [*files, *{file.parent for file in files}]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
