"""Shared helpers of the tests in a real browser."""

import os
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Page

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
SCREENS = {"laptop": (1280, 800), "phone": (390, 844)}


def is_problem(message: ConsoleMessage) -> bool:
    """Return whether a browser error is more than a rejected login."""
    return message.type in {"error", "warning"} and "status of 401" not in message.text


def seen(page: Page, name: str) -> None:
    """Check that nothing is cut off at the side; save a screenshot if SCREENSHOTS is set."""
    size = page.viewport_size
    assert size is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}-{size['width']}.png", full_page=True)
