"""Render the Jinja templates to HTML."""

from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from serving.web import formatting

STATUS_WORDS = {
    "on_track": ("On track", "good"),
    "at_risk": ("At risk", "warn"),
    "off_track": ("Off track", "bad"),
    "no_check_in": ("No check-in yet", "warn"),
    "awaiting_close": ("Ended, not closed", "warn"),
    "not_started": ("Not started", "plain"),
    "no_cycle": ("No cycle", "plain"),
    "achieved": ("Achieved", "good"),
    "missed": ("Missed", "bad"),
    "archived": ("Archived", "plain"),
}


class Pages:
    """Renders templates. Every value is escaped, and an undefined name in a template is an error."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("serving.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for name in (
            "percent",
            "chance",
            "score",
            "measured_value",
            "defined_value",
            "expected_count",
            "moment",
            "clock",
            "age",
            "day",
        ):
            self._environment.filters[name] = getattr(formatting, name)
        self._environment.globals["status_word"] = {status: word for status, (word, _) in STATUS_WORDS.items()}
        self._environment.globals["status_tone"] = {status: tone for status, (_, tone) in STATUS_WORDS.items()}

    def render(self, name: str, status: int = 200, **content: Any) -> HTMLResponse:
        """Return a page. The navigation bar uses `visitor` (the logged-in identity) and `path`."""
        html = self._environment.get_template(name).render(**{"visitor": None, "path": "", **content})
        return HTMLResponse(html, status)
