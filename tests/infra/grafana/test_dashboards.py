"""The dashboards: committed as generated, in valid PromQL, and of metrics that exist."""

import json
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import infra.grafana
import infra.prometheus
from infra.grafana.generate import BOARDS, COMMITTED, files, write
from lakehouse.errors import PermanentError
from tests.infra.grafana.promql import metrics_of

RULES = Path(infra.prometheus.__file__).parent / "rules"
FOLDER = Path(infra.grafana.__file__).parent
QUERIES = [(board.name, panel, expression) for board in BOARDS for panel, expression in board.queries]
BUILT_IN = {"ALERTS", "up"}  # Prometheus adds them
SUFFIXES = ("_bucket", "_count", "_sum")


@cache
def known_metrics() -> set[str]:
    """Return the metrics that the jobs expose and the recording rules make."""
    tables = tomllib.loads(RULES.with_name("metrics.toml").read_text(encoding="utf-8"))
    exposed = {name for table in tables.values() for name in table}
    groups = [group for file in RULES.glob("*.yml") for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    recorded = {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}
    return BUILT_IN | recorded | exposed | {name + suffix for name in exposed for suffix in SUFFIXES}


def panels(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in content["panels"] if each["type"] != "row"]


def test_the_committed_files_are_what_the_command_writes(tmp_path: Path) -> None:
    write(tmp_path)
    committed = {file.name: file.read_text(encoding="utf-8") for file in COMMITTED.iterdir()}
    assert committed == files(), "Run `okr grafana dashboards`."
    assert {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()} == committed


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (file := tmp_path / "file").touch()
    with pytest.raises(PermanentError, match="cannot be written"):
        write(file)


@pytest.mark.parametrize(("board", "panel", "expression"), QUERIES)
def test_a_query_is_promql_of_metrics_that_exist(board: str, panel: str, expression: str) -> None:
    # A renamed metric leaves a panel empty, and nobody notices (https://github.com/samply/blaze/issues/4045).
    unknown = metrics_of(expression) - known_metrics()
    assert not unknown, f"{board}, {panel}: nothing exposes {sorted(unknown)} (infra/prometheus/metrics.toml)."


def test_an_unknown_metric_and_a_mistake_are_found() -> None:
    assert metrics_of('sum(rate(a{b="c"}[5m])) / on (d) (e > 1)') == {"a", "e"}
    assert not metrics_of("a_that_nobody_exposes") & known_metrics()
    with pytest.raises(ValueError, match="unclosed"):
        metrics_of("sum(rate(a[5m])")


@pytest.mark.parametrize("name", sorted(files()))
def test_grafana_can_provision_the_file(name: str) -> None:
    content = json.loads(files()[name])
    [source] = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    # Grafana gives ids itself (https://github.com/grafana/grafana/issues/11018), and replaces `${DS_...}` only when a
    # person imports a file (https://github.com/grafana/grafana/issues/10786).
    assert "id" not in content
    assert "${" not in files()[name]
    assert content["uid"].startswith("okr-")
    for panel in panels(content):
        assert panel["options"], f"{panel['title']}: Grafana shows an error for a panel without options"
        for target in (panel, *panel["targets"]):
            assert target["datasource"] == {"type": "prometheus", "uid": source["uid"]}
    ids = Counter(panel["id"] for panel in content["panels"])
    assert max(ids.values()) == 1


@pytest.mark.parametrize("name", sorted(files()))
def test_panels_do_not_overlap(name: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in json.loads(files()[name])["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]
