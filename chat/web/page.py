"""The page's parts, where they stand, and which event does what."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

import lisa
from chat.safety.limits import SafetyLimits
from chat.safety.pictures import open_upload
from chat.safety.roots import AllowedRoots
from chat.web.archive import ArchiveLimits, unpack_session
from chat.web.desk import Desk, Sessions, Shown
from chat.web.keeping import KEEPERS
from lisa.images import open_image

TAB_SECONDS = 4 * 3600
"""A tab that nobody used for so long forgets its session."""

_FETCH = "() => setTimeout(() => document.querySelector('#lisa-file').click(), 80)"
_TURN_DARK = """() => {
  const dark = document.body.classList.toggle('dark');
  try { localStorage.setItem('lisa-dark', dark ? '1' : '0'); } catch (error) { /* private */ }
}"""
_KEEP_DARK = """() => {
  let dark = null;
  try { dark = localStorage.getItem('lisa-dark'); } catch (error) { /* private window */ }
  if (dark !== null) document.body.classList.toggle('dark', dark === '1');
}"""


@dataclass(frozen=True)
class PageSettings:
    """What a page is made of.

    Attributes:
        sessions: Where sessions come from.
        model: Its name, shown at the top.
        limits: Of what people send.
        archive: Of saved sessions that they upload.
        turns_at_once: Of all tabs together; the others wait.
    """

    sessions: Sessions
    model: str = ""
    limits: SafetyLimits = SafetyLimits()
    archive: ArchiveLimits = ArchiveLimits()
    turns_at_once: int = 4


def own_text(name: str) -> str:
    """Return one of the page's own files."""
    return files("chat.web").joinpath(name).read_text(encoding="utf-8")


def build_page(settings: PageSettings) -> gr.Blocks:
    """Return the page; nothing is served yet."""
    page = gr.Blocks(
        title="LISA", analytics_enabled=False, fill_width=True, delete_cache=(600, 1800)
    )
    with page:
        _Parts(settings).connect(page)
    return page


class _Parts:
    """The components of the page, top to bottom."""

    def __init__(self, settings: PageSettings) -> None:
        self.settings = settings
        self.desk = gr.State(None, time_to_live=TAB_SECONDS, delete_callback=_clear)
        with gr.Row(elem_id="lisa-top"):
            gr.HTML(
                settings.model,
                html_template=own_text("top.html"),
                js_on_load="element.querySelector('.model').textContent = props.value;",
                elem_id="lisa-title",
                apply_default_css=False,
            )
            self.undo = _button("Undo")
            self.new = _button("New")
            self.dark = _button("Dark / light")
        with gr.Row(elem_id="lisa-main"):
            with gr.Column(elem_id="lisa-left"):
                self.stage = _own_part("stage", ("stage", "graph", "pointing"), source="")
                with gr.Row(elem_id="lisa-add-row"):
                    self.add = gr.UploadButton(
                        "Add a picture",
                        file_count="multiple",
                        elem_id="lisa-add",
                        elem_classes="lisa-button",
                        size="sm",
                    )
                with gr.Accordion("Download or reopen", open=False, elem_id="lisa-keep"):
                    with gr.Row():
                        self.keep = {name: _button(name) for name in KEEPERS}
                    with gr.Row():
                        self.open = gr.UploadButton(
                            "Open a saved session",
                            elem_id="lisa-open",
                            elem_classes="lisa-button",
                            size="sm",
                        )
                self.file = gr.DownloadButton("file", elem_id="lisa-file")
            with gr.Column(elem_id="lisa-right"):
                self.talk = _own_part("talk", ("talk",))
                with gr.Row(elem_id="lisa-ask"):
                    self.question = gr.Textbox(
                        show_label=False,
                        label="Question",
                        placeholder="Ask about the picture …",
                        lines=1,
                        max_lines=6,
                        max_length=settings.limits.turn_characters,
                        container=False,
                        elem_id="lisa-question",
                    )
                    self.send = _button("Ask", main=True, elem_id="lisa-send")
                    self.stop = _button("Stop", elem_id="lisa-stop")

    # --- Events -----------------------------------------------------------------------------------

    def connect(self, page: gr.Blocks) -> None:
        """Say what each event does."""
        quiet: Any = {"api_visibility": "private", "show_progress": "hidden"}
        shown = [self.desk, self.stage, self.talk, self.question]
        page.load(self._begin, [self.desk], shown, **quiet)
        page.load(None, js=_KEEP_DARK)
        self.dark.click(None, js=_TURN_DARK)
        # Turns wait for each other here, not in threads.
        turns: Any = {"concurrency_limit": self.settings.turns_at_once, "concurrency_id": "turns"}
        for asked in (self.question.submit, self.send.click):
            asked(self._ask, [self.desk, self.question], shown, **quiet, **turns)
        self.talk.suggest(self._suggest, [self.desk], shown, **quiet, **turns)
        self.stop.click(self._stop, [self.desk], None, concurrency_limit=None, **quiet)
        self.undo.click(self._undo, [self.desk, self.question], shown, **quiet)
        self.new.click(self._new, [self.desk], shown, **quiet)
        self.stage.point(self._point, [self.desk], shown, **quiet)
        self.stage.turn_to(self._turn_to, [self.desk], shown, **quiet)
        self.stage.example(self._example, [self.desk], shown, **quiet)
        self.add.upload(self._add, [self.desk, self.add], [*shown, self.add], **quiet)
        self.open.upload(self._open, [self.desk, self.open], [*shown, self.open], **quiet)
        for name, button in self.keep.items():
            button.click(
                partial(self._keep, name), [self.desk], [*shown, self.file], **quiet
            ).success(None, js=_FETCH)

    def _of(self, desk: Desk | None) -> Desk:
        return desk or Desk(self.settings.sessions, self.settings.limits)

    def _begin(self, desk: Desk | None) -> Any:
        desk = self._of(desk)
        return _outputs(desk, desk.everything())

    def _ask(self, desk: Desk | None, question: str) -> Iterator[Any]:
        desk = self._of(desk)
        for shown in desk.ask(question or ""):
            yield _outputs(desk, shown)

    def _suggest(self, desk: Desk | None, event: gr.EventData) -> Iterator[Any]:
        text = event._data.get("text") if isinstance(event._data, dict) else None
        desk = self._of(desk)
        for shown in desk.ask(text if isinstance(text, str) else "", typed=False):
            yield _outputs(desk, shown)

    def _stop(self, desk: Desk | None) -> None:
        if desk is not None:
            desk.stop()

    def _undo(self, desk: Desk | None, question: str) -> Any:
        desk = self._of(desk)
        return _outputs(desk, desk.tried(lambda: desk.undo(question or "")))

    def _new(self, desk: Desk | None) -> Any:
        desk = self._of(desk)
        return _outputs(desk, desk.tried(desk.new))

    def _point(self, desk: Desk | None, event: gr.EventData) -> Any:
        desk = self._of(desk)
        return _outputs(desk, desk.tried(lambda: desk.point(event._data)))

    def _turn_to(self, desk: Desk | None, event: gr.EventData) -> Any:
        desk = self._of(desk)
        return _outputs(desk, desk.tried(lambda: desk.turn_to(event._data)))

    def _example(self, desk: Desk | None) -> Any:
        desk = self._of(desk)
        pictures = [(path.name, partial(open_image, path)) for path in example_paths()]
        return _outputs(desk, desk.tried(lambda: desk.add(pictures)))

    def _add(self, desk: Desk | None, uploads: list[str] | None) -> Any:
        desk = self._of(desk)
        limits = self.settings.limits
        pictures = [
            (Path(path).name, partial(_open_picture, path, limits)) for path in uploads or ()
        ]
        shown = desk.tried(lambda: desk.add(pictures))
        _forget(uploads or ())
        return (*_outputs(desk, shown), None)

    def _open(self, desk: Desk | None, upload: str | None) -> Any:
        desk = self._of(desk)
        if upload is None:
            return (*_outputs(desk, desk.everything()), None)

        def opened() -> Shown:
            data = _uploads().read(upload, self.settings.archive.bytes)
            with tempfile.TemporaryDirectory(prefix="lisa_session_") as folder:
                unpack_session(data, Path(folder), self.settings.archive)
                return desk.open(Path(folder))

        shown = desk.tried(opened)
        _forget([upload])
        return (*_outputs(desk, shown), None)

    def _keep(self, name: str, desk: Desk | None) -> Any:
        desk = self._of(desk)
        kept: list[Path] = []

        def written() -> Shown:
            kept.append(desk.keep(name, Path(get_upload_folder())))
            return Shown()

        shown = desk.tried(written)
        return (*_outputs(desk, shown), str(kept[0]) if kept else None)


def _outputs(desk: Desk, shown: Shown) -> tuple[Any, ...]:
    """Return what Gradio writes into desk, stage, talk and question."""
    parts = {"value": shown.stage, "source": shown.source}
    stage: Any = {name: part for name, part in parts.items() if part is not None}
    return (
        desk,
        gr.HTML(**stage) if stage else gr.skip(),
        gr.skip() if shown.talk is None else shown.talk,
        gr.skip() if shown.question is None else shown.question,
    )


def _own_part(name: str, scripts: Sequence[str], **more: Any) -> gr.HTML:
    """Return a part that our own scripts draw, one behind the other in one scope."""
    return gr.HTML(
        None,
        html_template=own_text(f"{name}.html"),
        js_on_load="\n".join(own_text(f"{script}.js") for script in ("parts", *scripts)),
        elem_id=f"lisa-{name}",
        apply_default_css=False,
        **more,
    )


def _button(text: str, *, main: bool = False, elem_id: str | None = None) -> gr.Button:
    classes = ["lisa-button", *(["lisa-main"] if main else [])]
    name = elem_id or f"lisa-{text.split()[0].lower()}"
    return gr.Button(text, size="sm", elem_id=name, elem_classes=classes)


def example_paths() -> list[Path]:
    """Return the pictures that come with the program."""
    return sorted((Path(lisa.__file__).parent / "nano" / "demo").glob("*.jpg"))


def _uploads() -> AllowedRoots:
    return AllowedRoots([get_upload_folder()])


def _open_picture(path: str, limits: SafetyLimits) -> Image.Image:
    return open_upload(_uploads().read(path, limits.upload_bytes), limits)


def _forget(paths: Sequence[str]) -> None:
    """Remove what was uploaded: the session has its own copy."""
    for path in paths:
        Path(path).unlink(missing_ok=True)


def _clear(desk: Desk | None) -> None:
    """End the turn of a tab that has gone, and remove its files."""
    if desk is not None:
        desk.stop()
        desk.forget()
