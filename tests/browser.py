"""The browser that tests of the page drive."""

import shutil
import time

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def until(page, expression, argument=None, seconds=20):
    """Wait for the page; Playwright's own way evaluates a text in the page, which its policy forbids."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression, argument):
        assert time.monotonic() < deadline, f"{expression}, {argument}"
        page.wait_for_timeout(20)
