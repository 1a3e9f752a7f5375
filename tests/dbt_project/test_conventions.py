"""Conventions of dbt_project/, read from dbt's manifest. Each message says what to do."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from expectations import marts_gate
from lakehouse.contracts import contracts

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "dbt_project" / "models"
PREFIXES = {"staging": ("stg_",), "intermediate": ("int_",), "marts": ("dim_", "fct_", "mart_")}
MAY_READ = {
    "staging": {"source"},
    "intermediate": {"source", "staging", "intermediate"},
    "marts": {"staging", "intermediate", "marts"},
    "ml": {"staging", "intermediate", "ml"},
}
ABOVE_ALL = {"model.okr_lakehouse.int_withheld_event"}  # withheld events are excluded from the first layer on
CLOCKS = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|random|gen_random_uuid)\s*\(|"
    r"\b(current_date|current_time|current_timestamp|localtime|localtimestamp)\b",
    re.IGNORECASE,
)
# A sum of floats depends on the order of rows. Counts and values cast to numeric may be summed.
ORDER_DEPENDENT = re.compile(
    r"\b(avg|sum)\s*\((?!\s*\(.*\)::numeric\)|\s*(\w+_count|check_ins)\s*\))|"
    r"\b(stddev\w*|var_\w+|variance|covar_\w+|corr|regr_\w+)\s*\(",
    re.IGNORECASE,
)
PERSON = re.compile(r"user|owner|email|person|employee|author|assignee|manager|member|decided_by")
SCORE = re.compile(
    r"score|probability|brier|calibrat|confident|overconfidence|rating|\brank|_rank|forecast|predict|performance|"
    r"productiv|grade|attainment"
)
SCORES_OF_A_KEY_RESULT = {"score_ratio", "final_score"}
MOST_NODES = 65
# Marts about the installation. Readers of one organisation see no row of a mart without the column (ADR 30).
WITHOUT_ORGANISATION = {
    "fct_alert", "fct_pipeline_run", "fct_reviewed_event", "fct_system_health_hourly", "key_result_features",
    "key_result_outcome",
}  # fmt: skip

Node = dict[str, Any]


@pytest.fixture(scope="module")
def manifest(parsed_project: Path) -> dict[str, Any]:
    return json.loads((parsed_project / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> list[Node]:
    found = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert {_layer(node) for node in found} == set(MAY_READ)
    return found


def _layer(node: Node) -> str:
    return str(node["fqn"][1])


def _published(models: list[Node]) -> Iterator[Node]:
    return (node for node in models if _layer(node) in {"marts", "ml"})


def _code(models: list[Node], manifest: dict[str, Any]) -> dict[str, str]:
    """Return the code of the project's models and macros by name."""
    own = [macro for macro in manifest["macros"].values() if macro["package_name"] == "okr_lakehouse"]
    code = {node["name"]: node["raw_code"] for node in models} | {m["name"]: m["macro_sql"] for m in own}
    assert len(code) > len(models) > 0
    return code


def _grain(node: Node) -> set[str]:
    """Return the columns of a model's primary key or unique constraint."""
    keys = [name for c in node["constraints"] if c["type"] == "primary_key" for name in c["columns"]]
    unique = [c["expression"] for c in node["constraints"] if (c["expression"] or "").startswith("unique")]
    return set(keys) | {name for text in unique for name in node["columns"] if re.search(rf"\b{name}\b", text)}


def _scores_of_people(node: Node) -> list[str]:
    """Return the columns of a published model that say more about a person than ids and counts."""
    grain, people = _grain(node), {name for name in node["columns"] if PERSON.search(name)}
    if people and _layer(node) == "ml":
        return sorted(people)  # a forecast model must not use data about people
    about_people = bool(grain & people)
    if about_people and not node["name"].startswith("dim_"):
        return [
            name
            for name, column in node["columns"].items()
            if name not in grain
            and not (name.endswith("_count") and column["data_type"] in {"integer", "bigint"})
            and not name.endswith("_id")
        ]
    allowed = SCORES_OF_A_KEY_RESULT if "key_result_id" in grain and not about_people else set()
    return [name for name in node["columns"] if people and SCORE.search(name) and name not in allowed]


def _is_constraint(query: str) -> bool:
    """Whether a rule checks single rows of one table, or counts the rows of a key."""
    reads_another_table = re.search(r"\b(JOIN|EXCEPT|UNION|INTERSECT)\b|\bFROM (?!\{batch\})", query, re.IGNORECASE)
    if reads_another_table or re.search(r"\bOVER\b|\bFILTER\b|\(\s*SELECT\b", query, re.IGNORECASE):
        return False
    return "GROUP BY" not in query or re.search(r"HAVING count\(\*\) > 1", query) is not None


def test_each_model_has_its_yml_beside_it() -> None:
    sql = {path.with_suffix("") for path in MODELS.rglob("*.sql")}
    yml = {path.with_suffix("") for path in MODELS.rglob("*.yml")} - {
        MODELS / "sources" / "raw", MODELS / "sources" / "ops", MODELS / "exposures"
    }  # fmt: skip
    assert sql == yml, "Put <model>.yml with grain and columns beside <model>.sql."
    assert sql, "No model was found: this test looks in the wrong place."


def test_each_model_is_in_the_folder_of_its_layer_and_noun(models: list[Node]) -> None:
    nouns = {name.split(".")[1] for name in contracts()} | {"log"}
    wrong = [
        node["name"]
        for node in models
        if node["fqn"][2] not in nouns or not node["name"].startswith(PREFIXES.get(_layer(node), ("",)))
    ]
    assert not wrong, f"Move to models/<layer>/<noun of an event type>/ and begin with the layer's prefix: {wrong}"


def test_each_staging_view_is_of_an_event_noun(models: list[Node]) -> None:
    # Not vice versa: a new event type is in the lake and in raw immediately, and is modelled when it is needed.
    staged = {node["name"] for node in models if _layer(node) == "staging"}
    nouns = {f"stg_{name.split('.')[1]}" for name in contracts()}
    nouns |= {"stg_{1}_{2}".format(*name.split(".")) for name in contracts()}  # archived, closed, deactivated
    assert staged, "No staging view was found: this test looks in the wrong place."
    assert staged <= nouns, f"No event type has this noun, so nothing can be in them: {sorted(staged - nouns)}"


def test_each_model_describes_its_grain_and_its_columns(models: list[Node]) -> None:
    for node in models:
        assert node["description"].startswith("Grain: "), (
            f"{node['name']}: begin the description with 'Grain: one row per'."
        )
        empty = [name for name, column in node["columns"].items() if not column["description"]]
        assert node["columns"], f"{node['name']}: describe its columns."
        assert not empty, f"{node['name']}: describe {empty}."


def test_each_published_model_has_an_enforced_contract_and_a_key(models: list[Node]) -> None:
    for node in _published(models):
        assert node["contract"]["enforced"], f"{node['name']}: contract: {{enforced: true}}."
        kinds = {constraint["type"] for constraint in node["constraints"]}
        unique = any("unique" in (constraint["expression"] or "") for constraint in node["constraints"])
        indexed = any(index.get("unique") for index in node["config"].get("indexes") or [])
        assert "primary_key" in kinds or unique or indexed, f"{node['name']}: enforce its grain by a primary key."


def test_each_published_model_names_the_organisation_of_its_rows(models: list[Node]) -> None:
    without = {node["name"] for node in _published(models) if "organisation_id" not in node["columns"]}
    assert without == WITHOUT_ORGANISATION, (
        f"Add the column organisation_id, by which row-level security restricts readers: {without}"
    )


def test_each_published_column_is_checked(models: list[Node]) -> None:
    for node in _published(models):
        of_model = " ".join(
            f"{constraint['expression'] or ''} {' '.join(constraint['columns'])}" for constraint in node["constraints"]
        )
        unchecked = [
            name
            for name, column in node["columns"].items()
            if not column["constraints"] and not re.search(rf"\b{name}\b", of_model)
        ]
        assert not unchecked, f"{node['name']}: give {unchecked} a constraint (not_null, check)."


def test_models_read_only_earlier_layers(models: list[Node], manifest: dict[str, Any]) -> None:
    for node in models:
        read = {
            "source" if name.startswith("source.") else _layer(manifest["nodes"][name])
            for name in node["depends_on"]["nodes"]
            if name not in ABOVE_ALL
        }
        assert read <= MAY_READ[_layer(node)], f"{node['name']} ({_layer(node)}) reads {read}."


def test_no_model_uses_a_clock_or_random_numbers(models: list[Node], manifest: dict[str, Any]) -> None:
    wrong = [name for name, text in _code(models, manifest).items() if CLOCKS.search(text)]
    assert not wrong, f"Marts are a pure function of the log: use int_data_as_of in {wrong}."


@pytest.mark.parametrize("code", ["select now()", "SELECT NOW ()", "day < CURRENT_DATE", "order by random()"])
def test_a_clock_or_random_number_is_detected(code: str) -> None:
    assert CLOCKS.search(code)


def test_means_do_not_depend_on_the_order_of_rows(models: list[Node], manifest: dict[str, Any]) -> None:
    wrong = [name for name, text in _code(models, manifest).items() if ORDER_DEPENDENT.search(text)]
    assert not wrong, f"Use exact_mean() or weighted_mean(): sums of floats differ by the order of rows. {wrong}"


@pytest.mark.parametrize(
    ("code", "is_order_dependent"),
    [
        ("avg(value)", True), ("AVG (value)", True), ("sum(value)", True), ("sum(a_count * ratio)", True),
        ("stddev_pop(value)", True), ("regr_slope(y, x)", True), ("corr(x, y)", True),
        ("sum(check_in_count)", False), ("avg((value)::numeric)", False), ("{{ exact_mean('value') }}", False),
    ],
)  # fmt: skip
def test_a_mean_that_depends_on_the_order_of_rows_is_detected(code: str, is_order_dependent: bool) -> None:
    assert bool(ORDER_DEPENDENT.search(code)) is is_order_dependent


def test_dbt_has_no_data_tests(manifest: dict[str, Any]) -> None:
    tests = [node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    assert not tests, f"Make each a constraint or a rule of a suite (expectations/suites/README.md): {tests}"


def test_no_suite_repeats_what_a_constraint_can_say(models: list[Node]) -> None:
    tables = {node["name"] for node in models}
    repeated = [
        f"{suite.name}.{rule.name}"
        for suite in marts_gate.suites()
        if suite.table in tables
        for rule in suite.rules
        if _is_constraint(str(rule.arguments["unexpected_rows_query"]))
    ]
    assert not repeated, f"Move to the model's contract (see expectations/suites/README.md): {repeated}"


@pytest.mark.parametrize(
    ("query", "is_constraint"),
    [
        ("SELECT id FROM {batch} WHERE score NOT BETWEEN 0 AND 1", True),
        ("SELECT id FROM {batch} WHERE id IS NULL", True),
        ("SELECT id FROM {batch} WHERE status NOT IN ('a', 'b')", True),
        ("SELECT id, count(*) AS times FROM {batch} GROUP BY id HAVING count(*) > 1 OR id IS NULL", True),
        ("SELECT id FROM {batch} GROUP BY id HAVING count(*) FILTER (WHERE is_current) <> 1", False),
        ("SELECT c.id FROM {batch} AS c LEFT JOIN other AS o ON c.id = o.id WHERE o.id IS NULL", False),
        ("SELECT id FROM {batch} EXCEPT SELECT id FROM other", False),
        ("SELECT id FROM (SELECT *, lead(a) OVER (ORDER BY b) AS next FROM {batch}) AS f WHERE next <> a", False),
    ],
)
def test_a_rule_that_a_constraint_can_say_is_recognised(query: str, is_constraint: bool) -> None:
    assert _is_constraint(query) is is_constraint


def test_the_project_has_few_enough_nodes(models: list[Node]) -> None:
    nodes = sum(node["config"]["materialized"] != "ephemeral" for node in models)
    assert nodes <= MOST_NODES, f"{nodes} nodes: each costs time in every run."


def test_no_model_scores_a_person(models: list[Node]) -> None:
    scores = {node["name"]: found for node in _published(models) if (found := _scores_of_people(node))}
    assert not scores, (
        f"Models about people may have ids and counts, no scores; ml may have nothing about people: {scores}"
    )


@pytest.mark.parametrize(
    ("layer", "name", "grain", "column", "data_type"),
    [
        ("marts", "fct_user_activity_daily", ["user_id", "day"], "activity_score", "double precision"),
        ("marts", "fct_user_activity_daily", ["user_id", "day"], "busy_ratio", "double precision"),
        ("marts", "fct_user_activity_daily", ["user_id", "day"], "weight_count", "double precision"),
        ("marts", "mart_people", ["owner_user_id"], "score_ratio", "double precision"),
        ("marts", "dim_user", ["user_id", "version_number"], "engagement_score", "double precision"),
        ("marts", "dim_user", ["user_id", "version_number"], "performance_rank", "integer"),
        ("marts", "mart_okr_scorecard", ["key_result_id", "cycle_id"], "owner_score", "double precision"),
        ("marts", "mart_okr_scorecard", ["key_result_id", "cycle_id"], "probability", "double precision"),
        ("marts", "mart_team_scorecard", ["team_id", "cycle_id"], "brier_score", "double precision"),
        ("ml", "key_result_features", ["key_result_id", "as_of"], "owner_user_id", "text"),
    ],
)
@pytest.mark.parametrize("constraint", ["primary_key", "unique"])
def test_a_score_of_a_person_is_detected(  # noqa: PLR0917 - a model, as far as its conventions ask
    layer: str, name: str, grain: list[str], column: str, data_type: str, constraint: str
) -> None:
    is_key = constraint == "primary_key"
    unique = f"unique nulls not distinct ({', '.join(grain)})"
    columns = dict.fromkeys([*grain, "owner_user_id", "check_in_count"], "bigint")
    node: Node = {
        "name": name,
        "fqn": ["okr_lakehouse", layer, "noun", name],
        "columns": {each: {"data_type": kind} for each, kind in (columns | {column: data_type}).items()},
        "constraints": [
            {"type": "primary_key", "columns": grain, "expression": None}
            if is_key
            else {"type": "custom", "columns": [], "expression": unique}
        ],
    }
    assert _scores_of_people(node) == [column]
    del node["columns"][column]
    if layer == "marts":
        assert _scores_of_people(node) == []
