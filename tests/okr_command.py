"""The installed `okr` command of the environment that runs the tests."""

import sys
from pathlib import Path

OKR = Path(sys.executable).with_name("okr")
