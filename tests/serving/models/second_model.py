"""A second model of another shape: text in, a list of texts out, without probabilities, key results or a rule.

It is one folder, written at the time of the test, and nothing else knows it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import serving.models
from lakehouse.settings import Settings
from ml import model_registry
from tests.serving import live_server
from tests.serving.live_server import Api

NAME = "title_words"
CODE = """
import json
import msgspec
from serving.models.served_model import Scored, ServedModel, Trained


class Question(msgspec.Struct, kw_only=True):
    text: str
    limit: int = 2


class Similar(msgspec.Struct, kw_only=True):
    titles: list[str]


class ByWords:
    def __init__(self, titles):
        self.titles = titles

    def score(self, rows):
        if "FAIL" in self.titles and any(row["text"] == "trigger" for row in rows):
            raise ValueError("this version fails on purpose")
        return [Scored({"titles": self._similar(row["text"].split())[: row.get("limit", 2)]}) for row in rows]

    def _similar(self, words):
        return [title for title in self.titles if set(words) & set(title.split())]


def load(folder, tags):
    return Trained(ByWords(json.loads((folder / "titles.json").read_text())))


MODEL = ServedModel("title_words", "Titles that share a word.", Question, Similar, load)
"""
TITLES = ["raise revenue", "raise morale", "cut costs"]


@contextmanager
def serving_second_model(settings: Settings, folder: Path) -> Iterator[Api]:
    """Run the application with the model's folder among those of the served models."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        (folder / NAME).mkdir()
        (folder / NAME / "__init__.py").write_text(CODE)
        monkeypatch.setattr(serving.models, "__path__", [*serving.models.__path__, str(folder)])
        with live_server.serving(settings) as api:
            yield api


def register(settings: Settings, folder: Path, expected: list[str], *more_titles: str) -> str:
    """Register a version whose golden row expects these titles for `raise`."""
    files = folder / "model"
    files.mkdir(parents=True)
    (files / "titles.json").write_text(json.dumps([*TITLES, *more_titles]))
    golden = {"tolerance": 0.0, "golden_rows": [{"row": {"text": "raise"}, "output": {"titles": expected}}]}
    (files / "golden_rows.json").write_text(json.dumps(golden))
    return model_registry.register_files(
        settings, NAME, folder, description="test", run_name="test", parameters={}, metrics={"recall": 0.5}, tags={}
    )
