"""The runbooks, as tests read them: sections, and the commands in their blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.stem != "README")
SHAPE = ("What it means", "Impact", "First look", "Fix", "Verify", "Prevent")
SERVER, LOCAL = "server", "local"
BLOCK = re.compile(r"^ *```sh (\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Line:
    """A command line of a block."""

    page: str
    section: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}, {self.section} ({self.where}): {self.text}"


def sections(page: Path) -> dict[str, str]:
    """Return the text of each section by its heading. Headings of level 3 belong to their section."""
    parts = re.split(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def lines(page: Path, *names: str, where: str | None = None) -> Iterator[Line]:
    """Yield the command lines of a page's sections, in their order."""
    for section, text in sections(page).items():
        for block in BLOCK.finditer(text) if not names or section in names else ():
            for line in block[2].splitlines():
                if where in {None, block[1]} and line.strip():
                    yield Line(page.stem, section, block[1], line.strip())


def words_after(line: str, program: str) -> list[list[str]]:
    """Return the words that follow a program wherever it is called in a line, without comments, quotes and pipes."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "TEXT", line.partition(" # ")[0])
    commands = re.split(r"\||&&|;", bare)
    found = []
    for command in commands:
        words = [word for word in command.split() if not re.fullmatch(r"[A-Z_]+=\S*", word)]
        names = [Path(word).name for word in words[:2]]
        if program in names:
            found.append(words[names.index(program) + 1 :])
    return found
