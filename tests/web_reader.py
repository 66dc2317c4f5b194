"""Somebody who uses the web page in a browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

IDLE = "!document.documentElement.classList.contains('lisa-busy')"


@dataclass
class Reader:
    """Somebody with a browser.

    Attributes:
        page: Of playwright.
        shots: Where pictures of the screen go.
        strangers: Addresses outside the server that the page asked for.
        faults: What the page's scripts complained of.
    """

    page: Any
    shots: Path
    strangers: list[str]
    faults: list[str]

    def ask(self, question: str) -> None:
        """Ask and wait for the end of the turn."""
        turns = self.page.locator("article").count()
        self.page.fill("#lisa-question textarea", question)
        self.page.keyboard.press("Enter")
        self.page.wait_for_function(f"document.querySelectorAll('article').length > {turns}")
        self.page.wait_for_function(IDLE)

    def names(self) -> list[str]:
        """What the legend lists."""
        return self.page.locator(".legend .label").all_inner_texts()

    def answer(self) -> str:
        """The last answer as it stands there."""
        return self.page.locator("article .said").last.inner_text()

    def shot(self, name: str) -> None:
        """Keep a picture of the screen."""
        self.page.screenshot(path=self.shots / f"{name}.png")

    def pixel(self, x: float, y: float) -> list[int]:
        """Colour of the drawn picture at shares of its width and height."""
        return self.page.evaluate(
            """([x, y]) => { const c = document.querySelector('.stage canvas');
            return [...c.getContext('2d').getImageData(x * c.width, y * c.height, 1, 1).data]; }""",
            [x, y],
        )

    def canvas(self, x: float, y: float) -> tuple[float, float]:
        """Place on the screen of shares of the picture's width and height."""
        self.page.locator(".stage canvas").scroll_into_view_if_needed()
        area = self.page.locator(".stage canvas").bounding_box()
        return area["x"] + x * area["width"], area["y"] + y * area["height"]

    def save(self, button: str) -> bytes:
        """Download what a button gives."""
        self.unfold()
        with self.page.expect_download() as waiting:
            self.page.click(f"#lisa-{button}")
        return Path(waiting.value.path()).read_bytes()

    def reopen(self, saved: Path) -> None:
        """Open a session that was downloaded."""
        self.unfold()
        self.page.set_input_files("#lisa-keep input[type=file]", str(saved))

    def wait_for_names(self, count: int) -> None:
        """Wait until the legend lists so many."""
        wanted = f"document.querySelectorAll('.legend .label').length === {count}"
        self.page.wait_for_function(wanted)

    def unfold(self) -> None:
        """Show what can be downloaded and reopened."""
        if not self.page.locator("#lisa-masks").is_visible():
            self.page.locator("#lisa-keep > button").click()
