"""The page of a report: what it shows, that data cannot harm it, and that it works in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from eval.report.html import write_page
from eval.report.samples import worst_first
from tests.unit.eval.report.browser import Browser, find_chromium
from tests.unit.eval.report.reports import EVIL, make, result, results

CHROMIUM = find_chromium()


class Elements(HTMLParser):
    """Counts elements and remembers the words between them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


def parsed(page: str) -> Elements:
    found = Elements()
    found.feed(page)
    return found


def test_the_page_holds_everything_and_asks_for_nothing(tmp_path: Path):
    answers = results(tmp_path)
    page = write_page(make(answers), answers, 200)
    found = parsed(page)
    assert found.names.count("article") == 6
    assert found.names.count("script") == 1
    assert not {"link", "iframe", "object", "embed", "video"} & set(found.names)
    sources = [value for name, value in found.attributes if name == "src"]
    assert len(sources) == 6
    assert all(value.startswith("data:image/jpeg;base64,") for value in sources if value)
    assert "://" not in page
    for words in ("own:cups: a model", "0.500", "sha256 00", "cups.jsonl:3", "12.5", "1.00 GiB"):
        assert words in found.words
    assert "picture not at hand" in found.words  # of the answer whose picture has gone


def test_data_cannot_become_markup(tmp_path: Path):
    answers = results(tmp_path)
    page = write_page(make(answers), answers, 200)
    assert "<img src=x" not in page
    assert page.count("<script>") == 1
    assert not [name for name, _ in parsed(page).attributes if name.startswith("on")]
    assert EVIL in parsed(page).words


def test_the_worst_of_every_group_are_shown(tmp_path: Path):
    many = [result(f"a/{n}", 30, 0, group="absent") for n in range(20)]
    many += [result(f"n/{n}", n, 10) for n in range(1, 11)]
    shown = worst_first(many, 6)
    assert [one.key for one in shown] == ["a/0", "a/1", "a/10", "n/1", "n/2", "n/3"]
    assert len(worst_first(many, 100)) == 30
    page = write_page(make(many), many, 6)
    assert parsed(page).names.count("article") == 6
    assert "6 of 30 answers, the worst of each group." in page


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    opened = Browser(CHROMIUM, tmp_path / "profile")
    yield opened
    opened.close()


SHOWN = '[...document.querySelectorAll("article:not([hidden])")].map(one => one.dataset.key)'


def choose(browser: Browser, name: str, value: str) -> list[str]:
    field = f'document.getElementById("{name}")'
    browser.run(
        f'{field}.value = {value!r}; {field}.dispatchEvent(new Event("input", {{bubbles: true}}))'
    )
    return browser.run(SHOWN)


def test_filters_order_and_keys_in_a_browser(tmp_path: Path, browser: Browser):
    answers = results(tmp_path)
    path = tmp_path / "report.html"
    path.write_text(write_page(make(answers), answers, 200), encoding="utf-8")
    evil = f"e/{EVIL}"
    browser.open(path.as_uri())
    assert browser.run("document.title") == "own:cups: a model"
    assert browser.run(SHOWN) == ["a/2", "n/3", "n/2", evil, "a/1", "n/1"]
    # All pictures are really drawn.
    browser.run("document.querySelectorAll('img').forEach(one => one.loading = 'eager')")
    wide = "[...document.images].every(one => one.complete && one.naturalWidth > 100)"
    while not browser.run(wide):
        pass
    assert choose(browser, "group", "naming") == ["n/3", "n/2", "n/1"]
    assert browser.run('document.getElementById("count").textContent') == "3 of 6 shown"
    assert choose(browser, "order", "best") == ["n/1", "n/2", "n/3"]
    assert choose(browser, "low", "0.5") == ["n/1", "n/2"]
    assert choose(browser, "subset", "held_out") == ["n/2"]
    assert browser.run("location.hash") == "#group=naming&subset=held_out&low=0.5&order=best"
    address = browser.run("location.href")
    browser.open("about:blank")
    browser.open(address)  # the address keeps the filters
    assert browser.run(SHOWN) == ["n/2"]
    browser.run('document.getElementById("filters").reset()')
    assert choose(browser, "presence", "absent") == ["a/2", "a/1"]
    assert choose(browser, "text", "KETTLE") == []
    assert browser.run('document.getElementById("none").hidden') is False
    assert choose(browser, "presence", "") == ["n/2"]
    assert choose(browser, "text", "") == ["a/2", "n/3", "n/2", evil, "a/1", "n/1"]
    # With the keyboard alone: two samples down, one up, then search.
    browser.press("j", "j", "k")
    assert browser.run("document.activeElement.dataset.key") == "a/2"
    browser.press("/", *"kettle")
    assert browser.run("document.activeElement.id") == "text"
    assert browser.run(SHOWN) == ["n/2"]
    browser.press("Escape", "j")
    assert browser.run("document.activeElement.dataset.key") == "n/2"
    assert browser.run("document.title") == "own:cups: a model"
    assert browser.errors == []


def test_dark_and_light(tmp_path: Path, browser: Browser):
    answers = results(tmp_path)
    path = tmp_path / "report.html"
    path.write_text(write_page(make(answers), answers, 200), encoding="utf-8")
    browser.open(path.as_uri())
    grounds = {}
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        colour = browser.run("getComputedStyle(document.body).backgroundColor")
        grounds[scheme] = sum(map(int, re.findall(r"\d+", colour)))
    assert grounds["dark"] < 150 < 600 < grounds["light"]
    assert browser.errors == []
