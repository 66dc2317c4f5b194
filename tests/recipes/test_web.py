"""The web page in a real browser: with a script behind it, and with lisa-nano."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="Gradio is not installed: pip install 'lisa-assistant[web]'")

from chat.web.page import PageSettings
from chat.web.serving import ServingSettings, serve_page
from lisa.errors import ConfigError
from tests.web_page import open_browser, scripted_sessions, striped_picture
from tests.web_reader import IDLE, Reader

DESKTOP, PHONE = {"width": 1360, "height": 850}, {"width": 390, "height": 844}
PATIENCE = 180_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serve_page(PageSettings(scripted_sessions(pause=0.01)), ServingSettings()) as served:
        yield served


@pytest.fixture
def visit(browser, tmp_path):
    """Open a page at a size and a scheme of colours; what it asks elsewhere is noted."""
    opened = []

    def begin(address: str, size: dict, scheme: str = "light", **more: Any) -> Reader:
        context = browser.new_context(viewport=size, color_scheme=scheme, **more)
        opened.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        reader = Reader(page, tmp_path, [], [])
        local = (address, "data:", "blob:")
        page.on(
            "request",
            lambda r: None if r.url.startswith(local) else reader.strangers.append(r.url),
        )
        page.on("pageerror", lambda error: reader.faults.append(str(error)))
        page.goto(address)
        page.wait_for_selector(".hello .big")
        return reader

    yield begin
    for context in opened:
        context.close()


def upload(reader: Reader, *paths: Path) -> None:
    reader.page.set_input_files("#lisa-add-row input[type=file]", [str(path) for path in paths])
    reader.page.wait_for_selector(".stage canvas", state="visible")
    reader.page.wait_for_function("document.querySelector('.stage canvas').width > 300")


def test_a_whole_conversation_with_mouse(visit, address: str, tmp_path: Path):
    reader = visit(address, DESKTOP)
    page = reader.page
    upload(reader, striped_picture(tmp_path / "table <b>.png"))
    assert page.locator(".stage .name").inner_text().startswith("table ")
    bare = reader.pixel(0.25, 0.33)

    reader.ask("What stands here?")
    assert reader.names() == ["#1 cup", "#2 fork"]
    assert reader.answer() == "The cup #1 and the fork #2."
    page.wait_for_timeout(500)  # masks fade in
    masked = reader.pixel(0.25, 0.33)
    assert np.abs(np.subtract(masked, bare)).max() > 30
    reader.shot("desktop")

    page.locator(".legend input").first.uncheck()
    assert np.abs(np.subtract(reader.pixel(0.25, 0.33), bare)).max() < 12
    page.locator(".legend input").first.check()
    page.mouse.move(*reader.canvas(0.25, 0.33))
    assert page.locator(".stage .tip b").inner_text() == "#1 cup"
    assert page.locator("article .chip.lit").first.inner_text() == "#1"

    page.mouse.click(*reader.canvas(0.7, 0.8))
    page.wait_for_function("document.querySelectorAll('.legend li').length === 3")
    assert "#3" in page.locator(".stage .said").inner_text()
    page.mouse.move(*reader.canvas(0.05, 0.6))
    page.mouse.down()
    page.mouse.move(*reader.canvas(0.25, 0.9), steps=4)
    page.mouse.up()
    page.wait_for_function("document.querySelectorAll('.legend li').length === 4")

    reader.ask("How do the things relate?")
    assert page.locator(".graph").is_visible()
    assert "#1 cup left of #2 fork" in page.locator(".graph li").all_inner_texts()
    fold = page.locator("details.step").last
    assert not fold.locator(".result").is_visible()
    fold.locator(".tool").click()
    assert fold.locator(".result").inner_text() == "#1 cup left of #2 fork"

    saved = reader.save("session")
    page.click("#lisa-undo")
    page.wait_for_function("document.querySelectorAll('article').length === 1")
    assert page.input_value("#lisa-question textarea") == "How do the things relate?"
    page.click("#lisa-new")
    page.wait_for_selector(".hello .big")
    (tmp_path / "saved.zip").write_bytes(saved)
    reader.reopen(tmp_path / "saved.zip")
    page.wait_for_function("document.querySelectorAll('article').length === 2")
    reader.wait_for_names(4)
    assert reader.names() == ["#1 cup", "#2 fork", "#3", "#4"]
    assert reader.strangers == [] and reader.faults == []


def test_phone_shows_all_in_the_dark(visit, address: str, tmp_path: Path):
    reader = visit(address, PHONE, "dark", has_touch=True, is_mobile=True)
    page = reader.page
    page.tap(".stage .example")
    page.wait_for_selector(".stage canvas", state="visible")
    reader.ask("What stands here?")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, ground[4:-1].split(","))) < 60
    picture = page.locator(".stage canvas").bounding_box()
    talk = page.locator("article").first.bounding_box()
    assert picture["y"] + picture["height"] < talk["y"]
    cut = page.evaluate(
        """() => [...document.querySelectorAll('button, textarea, article, .legend li, canvas')]
        .filter((n) => n.offsetParent && !n.closest('.ideas') && !n.closest('.strip'))
        .filter((n) => { const r = n.getBoundingClientRect();
          return r.width && (r.left < -1 || r.right > innerWidth + 1); }).map((n) => n.outerHTML)"""
    )
    assert cut == []
    reader.shot("phone")
    assert reader.faults == []


@pytest.mark.slow
def test_keys_alone_do_for_all(visit, address: str, tmp_path: Path):
    reader = visit(address, DESKTOP)
    page = reader.page
    upload(reader, striped_picture(tmp_path / "table.png"))
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                """() => { const n = document.activeElement, s = getComputedStyle(n);
                return [n.textContent.trim() || n.getAttribute('aria-label') || n.className,
                  s.outlineStyle !== 'none' || s.boxShadow !== 'none']; }"""
            )
        )
        if seen[-1][0] == "Ask":
            break
    names = [name for name, _ in seen]
    for name in ("Undo", "New", "Draw a box", "Masks", "Names", "Add a picture", "Ask"):
        assert name in names, names
    assert all(visible for _, visible in seen), seen
    page.focus(".stage .frame")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector(".legend li")
    page.focus(".stage .frame")
    for key in ("b", *["ArrowRight"] * 4, *["ArrowDown"] * 4, "Enter"):
        page.keyboard.press(key)
    page.wait_for_function("document.querySelectorAll('.legend li').length === 2")
    page.focus(".legend .ask")
    page.keyboard.press("Enter")
    assert page.input_value("#lisa-question textarea") == "#1 "
    page.focus(".legend input")
    page.keyboard.press("Space")
    assert not page.locator(".legend input").first.is_checked()
    assert reader.faults == []


@pytest.mark.slow
def test_turn_can_be_stopped(visit, browser, tmp_path: Path):
    sessions = scripted_sessions(pause=0.3)
    with serve_page(PageSettings(sessions), ServingSettings()) as address:
        reader = visit(address, DESKTOP)
        page = reader.page
        upload(reader, striped_picture(tmp_path / "table.png"))
        assert not page.locator("#lisa-stop").is_visible()
        page.fill("#lisa-question textarea", "Tell me a long story")
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('article .said')?.innerText.length > 20")
        page.click("#lisa-stop")
        page.wait_for_function(IDLE)
        page.wait_for_selector(".notice")
        assert "as it was" in page.locator(".notice").inner_text()
        assert page.locator("article").count() == 0
        assert page.input_value("#lisa-question textarea") == "Tell me a long story"
        reader.ask("What stands here?")
        assert reader.names() == ["#1 cup", "#2 fork"]


@pytest.mark.slow
def test_tabs_know_nothing_of_each_other(visit, address: str, tmp_path: Path):
    first, second = visit(address, DESKTOP), visit(address, DESKTOP)
    upload(first, striped_picture(tmp_path / "table.png"))
    first.ask("What stands here?")
    assert second.page.locator(".stage .drop").is_visible()
    second.page.click("#lisa-undo")
    second.page.wait_for_selector(".notice")
    assert first.names() == ["#1 cup", "#2 fork"]


@pytest.mark.slow
def test_several_pictures_errors_and_what_is_kept(visit, address: str, tmp_path: Path):
    reader = visit(address, DESKTOP)
    page = reader.page
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    one, two = striped_picture(tmp_path / "one.png"), tmp_path / "two.png"
    Image.new("RGB", (60, 90), "navy").save(two)
    upload(reader, bad, one, two)
    page.wait_for_selector(".strip button:nth-child(2)")
    assert "bad.png" in page.locator(".notice.error").inner_text()
    assert page.locator(".stage .name").inner_text() == "two.png"
    page.click(".strip button:first-child")
    page.wait_for_function("document.querySelector('.stage .name').innerText === 'one.png'")
    reader.ask("Is there a zebra?")
    assert reader.answer() == "There is no zebra not in the picture."
    reader.ask("Where is the unicorn?")
    assert page.locator(".step.failed .time").inner_text() == "failed"
    page.click(".ideas button:first-child")
    page.wait_for_function("document.querySelectorAll('article').length === 3")
    page.wait_for_function(IDLE)
    with zipfile.ZipFile(io.BytesIO(reader.save("masks"))) as masks:
        assert len(masks.namelist()) == 2
    described = json.loads(reader.save("json"))
    assert [turn["question"] for turn in described["turns"]][0] == "Is there a zebra?"
    (tmp_path / "report.html").write_bytes(reader.save("report"))
    page.goto((tmp_path / "report.html").as_uri())
    assert page.locator("#m1").is_visible()
    page.locator("#s1").uncheck()
    assert not page.locator("#m1").is_visible()
    assert reader.faults == []


@pytest.mark.slow
def test_colours_of_the_night(visit, address: str):
    reader = visit(address, DESKTOP)
    page = reader.page

    def ground() -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return max(map(int, colour[4:-1].split(",")))

    assert ground() > 200
    page.click("#lisa-dark")
    assert ground() < 60
    page.reload()
    page.wait_for_selector(".hello .big")
    page.wait_for_function("document.body.classList.contains('dark')")
    assert ground() < 60


def test_port_that_is_taken_is_named(address: str):
    port = int(address.rstrip("/").rpartition(":")[2])
    with pytest.raises(ConfigError, match=f"127.0.0.1:{port}"):
        with serve_page(PageSettings(scripted_sessions()), ServingSettings(port=port)):
            pass


@contextmanager
def lisa_web(*options: str) -> Iterator[str]:
    """Run `lisa web` until the context ends; it has to end well then."""
    command = [sys.executable, "-m", "lisa.cli", "web", "--offline", *options]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        said = next(line for line in running.stdout if "http" in line)
        yield re.findall(r"http://\S+", said)[0]
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0


@pytest.mark.slow
def test_eight_turns_on_lisa_nano(visit, tmp_path: Path):
    with lisa_web() as address:
        reader = visit(address, DESKTOP)
        page = reader.page
        page.click(".stage .example")
        page.wait_for_selector(".stage canvas", state="visible")
        reader.ask("What is in the picture?")
        assert "avocado" in reader.answer()
        assert page.locator(".step .tool").first.inner_text() == "tag"
        before = reader.names()
        reader.ask("Which of these is mashed into guacamole?")
        (found,) = (one for one in reader.names() if one not in before)
        assert found.endswith(" avocado")
        name = found.split()[0]
        reader.ask(f"How large is {name}?")
        assert "%" in reader.answer()
        reader.ask(f"What is above {name}?")
        assert page.locator(".step .tool").last.inner_text() == "relate"
        reader.ask("How many fruits are there?")
        assert "2" in reader.answer() or "two" in reader.answer().lower()
        reader.ask("Is there a zebra?")
        assert page.locator("article").last.locator(".chip.absent").count() == 1
        reader.shot("nano_desktop")
        page.click("#lisa-undo")
        page.wait_for_function("document.querySelectorAll('article').length === 5")
        names = reader.names()
        (tmp_path / "saved.zip").write_bytes(reader.save("session"))
        page.reload()
        page.wait_for_selector(".hello .big")
        reader.reopen(tmp_path / "saved.zip")
        page.wait_for_function("document.querySelectorAll('article').length === 5")
        reader.wait_for_names(len(names))
        assert reader.names() == names
        reader.ask(f"How large is {name}?")
        assert "%" in reader.answer()
        assert reader.strangers == [] and reader.faults == []

        phone = visit(address, PHONE, "dark", has_touch=True, is_mobile=True)
        phone.page.tap(".stage .example")
        phone.page.wait_for_selector(".stage canvas", state="visible")
        phone.ask("Which of these is mashed into guacamole?")
        assert [one.split()[-1] for one in phone.names()] == ["avocado"]
        phone.shot("nano_phone")
