"""Write the dashboards as JSON files. `dashboards/` has them, so that servers do not need the generator."""

import json
from collections.abc import Mapping
from pathlib import Path

from infra.grafana.boards import api, business, infrastructure, model, pipeline
from infra.grafana.panels import Board, built
from lakehouse.errors import PermanentError

BOARDS: tuple[Board, ...] = (infrastructure.BOARD, pipeline.BOARD, api.BOARD, model.BOARD, business.BOARD)
COMMITTED = Path(__file__).with_name("dashboards")


def files() -> Mapping[str, str]:
    """Return the content of each file by its name."""
    return {f"{board.name}.json": _json(board) for board in BOARDS}


def write(folder: Path) -> list[Path]:
    """Write the files into a folder, which is created, and return them.

    Raises:
        PermanentError: a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files().items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise PermanentError(f"The dashboards cannot be written to {folder} ({error}).") from error
    return [folder / name for name in files()]


def _json(board: Board) -> str:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    return json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(built(board).build())), indent=1) + "\n"
