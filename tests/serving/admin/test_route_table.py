"""docs/admin-api.md lists every route beside its command: nothing that `okr` can do is forgotten."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from lakehouse.cli import build
from serving.admin.routes import routers
from serving.models.routes import router as models

PAGE = (Path(__file__).parents[3] / "docs" / "admin-api.md").read_text(encoding="utf-8")
CELLS = re.compile(r"^\| (`[^|]*) \|[^|]*\|(?: ([^|]*?) ?\|)?$", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")


@pytest.fixture(scope="module")
def table() -> dict[str, list[str]]:
    """The commands of each route."""
    part = PAGE.partition("## Commands without a route")[0]
    rows = [(CODE.findall(route), CODE.findall(commands)) for route, commands in CELLS.findall(part)]
    assert all(len(route) == 1 for route, _ in rows)
    names = [route[0] for route, _ in rows]
    assert len(set(names)) == len(names)
    return {route[0]: commands for route, commands in rows}


def test_the_table_has_every_route_and_no_other(table: dict[str, list[str]]) -> None:
    described = [route for router in (*routers, models) for route in router.routes]
    routes: set[str] = {f"{method} {route.path}" for route in described for method in route.methods}  # type: ignore[attr-defined]
    assert set(table) == routes


def test_every_command_has_a_route_or_a_reason_why_it_has_none(table: dict[str, list[str]]) -> None:
    with_route = {command for commands in table.values() for command in commands}
    without = {command for each, _ in CELLS.findall(PAGE.partition("## Commands without a route")[2])
               for command in CODE.findall(each)}  # fmt: skip
    assert not with_route & without
    assert with_route | without == set(leaves(typer.main.get_command(build()), "okr"))


def test_every_change_can_also_be_made_by_a_command(table: dict[str, list[str]]) -> None:
    assert [route for route, commands in table.items() if not commands and not route.startswith("GET ")] == []


def leaves(command: Any, name: str) -> Iterator[str]:
    """Return the names of all commands."""
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield name
        return
    for each, subcommand in subcommands.items():
        yield from leaves(subcommand, f"{name} {each}")
