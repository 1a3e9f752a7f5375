"""Tables of measured figures: printed, and written into a page of the docs between two markers.

`python -m tests.figures FIGURES PAGE` writes the tables that benchmarks (`make bench-serving`) or tests of operations
(`make test-ops`) have stored in the file FIGURES.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

FILE = os.environ.get("OKR_FIGURES")  # read now, because tests run without the variables of the caller
BLOCK = re.compile(r"(<!-- figures: .*? -->\n).*?(\n?<!-- /figures -->)", re.DOTALL)


def report(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> None:
    """Print a table, and store it if the variable OKR_FIGURES names a file."""
    load = f"Load average of the machine: {os.getloadavg()[0]:.1f}."
    text = f"**{title}**\n\n{table(header, rows)}\n\n{f'{note} {load}'.strip()}"
    print(f"\n{text}")
    if FILE:
        with Path(FILE).open("a", encoding="utf-8") as figures:
            figures.write(json.dumps({"title": title, "text": text}) + "\n")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, with numbers right-aligned."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_page(figures: Path, page: Path) -> None:
    """Replace the page's block of figures by the stored tables. A later table replaces an earlier one of its title."""
    stored = [json.loads(line) for line in figures.read_text(encoding="utf-8").splitlines()]
    tables = {each["title"]: each["text"] for each in stored}
    text = page.read_text(encoding="utf-8")
    if not BLOCK.search(text):
        sys.exit(f"{page} has no block of figures: <!-- figures: written by ... --> and <!-- /figures -->.")
    measured = f"Measured on {datetime.now(UTC):%Y-%m-%d} with {os.cpu_count()} cores."
    block = "\n\n".join([measured, *tables.values()])
    page.write_text(BLOCK.sub(lambda found: f"{found[1]}{block}{found[2]}", text), encoding="utf-8")


if __name__ == "__main__":
    write_page(Path(sys.argv[1]), Path(sys.argv[2]))
