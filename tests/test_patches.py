"""No test replaces a function of the standard library in all of the process, where background threads call it, too."""

import ast
import sys
from pathlib import Path

import pytest


def global_patches(source: str) -> list[int]:
    """Return the lines that patch a module of the standard library, whether it is given by value or by name."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
            target = node.args[0]
            if isinstance(target, ast.Constant):
                name = str(target.value).partition(".")[0]
            else:
                name = ast.unparse(target).rpartition(".")[2]
            if name in sys.stdlib_module_names:
                lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    "call", ["m.setattr(time, 'time', f)", "m.setattr(commands.time, 'monotonic', f)", "m.setattr('os.fsync', f)"]
)
def test_a_global_patch_is_recognised(call: str) -> None:
    assert global_patches(call) == [1]


def test_tests_replace_the_module_as_their_subject_sees_it(request: pytest.FixtureRequest) -> None:
    files = sorted((request.config.rootpath / "tests").rglob("*.py"))
    found = [f"{_relative(file, request)}:{line}" for file in files for line in global_patches(file.read_text())]
    assert not found, "replace the name in the module under test instead: monkeypatch.setattr(module, 'time', ...)"


def _relative(file: Path, request: pytest.FixtureRequest) -> Path:
    return file.relative_to(request.config.rootpath)
