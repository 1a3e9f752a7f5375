"""Prepare Data Docs for serving behind a login: pages load nothing from other hosts, and an index page lists suites."""

import re
from collections.abc import Callable
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from expectations.gate_decision import GateReport, SuiteResult
from lakehouse.atomic_replace import replace_folder

STYLE = "quality.css"
# The generated pages load styles, scripts, fonts and a logo from five other hosts. Their text is readable without
# these.
EXTERNAL_RESOURCES = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*?\bhttps?://[^>]*>|<img\b[^>]*?\bhttps?://[^>]*>"
    r"|<style\b.*?</style>|<footer\b.*?</footer>",
    re.DOTALL | re.IGNORECASE,
)


def regenerate(site: Path, build: Callable[[Path], GateReport]) -> GateReport:
    """Let `build` write Data Docs into a new folder, clean them, and replace `site` with that folder atomically."""

    def fill(draft: Path) -> GateReport:
        report = build(draft)
        clean(draft)
        (draft / STYLE).write_text(_text(STYLE), encoding="utf-8")
        (draft / "index.html").write_text(index_page(draft, report), encoding="utf-8")
        return report

    return replace_folder(site, fill)


def clean(folder: Path) -> None:
    """Remove everything that pages would load from other hosts, and add the project's style sheet."""
    for page in folder.rglob("*.html"):
        depth = len(page.relative_to(folder).parts) - 1
        style = f'<link rel="stylesheet" href="{"../" * depth}{STYLE}"></head>'
        text = EXTERNAL_RESOURCES.sub("", page.read_text(encoding="utf-8"))
        page.write_text(text.replace("</head>", style, 1), encoding="utf-8")


def index_page(folder: Path, report: GateReport) -> str:
    """Return the index page, which has the summary and a link to the page of each suite."""
    rows = "\n".join(_row(folder, suite) for suite in report.suites)
    return Template(_text("data_docs_index.html")).substitute(
        summary=escape(report.summary()), validated_at=f"{report.validated_at:%Y-%m-%d %H:%M} UTC", rows=rows
    )


def _row(folder: Path, suite: SuiteResult) -> str:
    broken = [rule for rule in suite.rules if not rule.passed]
    advice_only = all(rule.advice for rule in broken)
    state = "passed" if not broken else "advice" if advice_only else "failed"
    page = next(iter(sorted(folder.glob(f"validations/**/*-{suite.name}.html"))), None)
    name = escape(suite.name)
    link = f'<a href="{escape(str(page.relative_to(folder)))}">{name}</a>' if page else name
    messages = "<br>".join(escape(str(rule)) for rule in broken)
    cells = (state, link, escape(suite.table), f"{suite.rows:,}", str(len(suite.rules)), messages)
    return f'<tr class="{state}"><td>' + "</td><td>".join(cells) + "</td></tr>"


def _text(name: str) -> str:
    return files("expectations").joinpath(name).read_text(encoding="utf-8")
