"""A browser for our pages: what it finds in them, and what it complains of."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

needs_browser = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true",
    reason="there is no Chromium here; CI has one",
)


def ask(page: str, script: str, folder: Path) -> tuple[Any, list[str]]:
    """Open a page, run a script in it; give its result and the console's errors.

    ``script`` is the body of an async function that returns something JSON can hold.
    """
    assert CHROMIUM, "CI installs Chromium"
    probe = (
        "<script>const answer = document.createElement('pre'); answer.id = 'answer';"
        "(async () => {" + script + "})()"
        ".catch((error) => ({ error: String(error) })).then((told) => {"
        " answer.textContent = JSON.stringify(told);"
        " document.body.append(answer); });</script>"
    )
    file = folder / "page.html"
    file.write_text(page.replace("</body>", f"{probe}</body>"), "utf-8")
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            f"--user-data-dir={folder / 'profile'}",
            "--window-size=1200,900",
            "--virtual-time-budget=10000",  # ends as soon as nothing is left to do
            "--enable-logging=stderr",
            "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr
    complaints = re.findall(r"CONSOLE.*", done.stderr)
    return json.loads(html.unescape(found[1])), complaints
