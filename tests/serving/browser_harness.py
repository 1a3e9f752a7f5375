"""What the tests in a real browser share."""

import os
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Page

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
SCREENS = {"laptop": (1280, 800), "phone": (390, 844)}


def is_trouble(message: ConsoleMessage) -> bool:
    """Whether the browser complains of more than a refused login."""
    return message.type in {"error", "warning"} and "status of 401" not in message.text


def seen(page: Page, name: str) -> None:
    """Nothing is cut off at the side; keep a screenshot where somebody wants one."""
    size = page.viewport_size
    assert size is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}-{size['width']}.png", full_page=True)
