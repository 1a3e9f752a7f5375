"""docs/logs.md has the schema of the code, and its examples have options that exist."""

import json
import re
import shlex
from pathlib import Path

from typer.main import get_command

from infra.logs.commands import group
from lakehouse.log_records.schema import SCHEMA

PAGE = (Path(__file__).parents[3] / "docs/logs.md").read_text(encoding="utf-8")


def test_the_page_has_the_schema() -> None:
    found = re.search(r"<!-- schema -->\n```json\n(.*?)\n```", PAGE, re.DOTALL)
    assert found is not None
    assert json.loads(found[1]) == SCHEMA
    table = PAGE.partition("## Schema")[2].partition("<!-- schema -->")[0]
    for name in SCHEMA["properties"]:
        assert f"`{name}`" in table


def test_the_examples_have_known_options() -> None:
    commands = re.findall(r"^(?:`)?okr logs ([^\n`|#]*)|`okr logs ([^`|]*)", PAGE, re.MULTILINE)
    context = get_command(group).make_context
    checked = 0
    for first, second in commands:
        words = shlex.split(first or second)
        if words:
            context("logs", words, resilient_parsing=False).close()
            checked += 1
    assert checked > 10
