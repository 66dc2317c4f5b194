"""Serves the page: where its files lie, what Gradio may do, and what stands before it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import gradio as gr
from starlette.middleware import Middleware

from chat.safety.hosts import is_local
from chat.safety.keys import ApiKey
from chat.web.guard import Guard, GuardSettings
from chat.web.page import PageSettings, build_page, own_text
from lisa.errors import ConfigError

TABS = 200
"""Most tabs whose sessions are kept; the one that was used longest ago goes first."""

_BODY_BYTES = 1_000_000
_FOLDER = "GRADIO_TEMP_DIR"


@dataclass(frozen=True)
class ServingSettings:
    """Where and how a page is served.

    Attributes:
        host: Address to listen at; "127.0.0.1" is this machine alone.
        port: To listen at; None takes the first free one from 7860 on.
        open_browser: Whether to show the page.
        tabs: Most tabs whose sessions are kept.
        key: That browsers have to give as a password; None lets everybody in who gets there.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    open_browser: bool = False
    tabs: int = TABS
    key: ApiKey | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the page."""
        return is_local(self.host)


@contextmanager
def serve_page(page: PageSettings, serving: ServingSettings) -> Iterator[str]:
    """Serve a page as long as the context lasts.

    Args:
        page: What it is made of.
        serving: Where and how.

    Yields:
        Its address.

    Raises:
        ConfigError: If the port is taken or the host is none of this machine's.
    """
    before = os.environ.get(_FOLDER)
    folder = tempfile.mkdtemp(prefix="lisa_web_")
    os.environ[_FOLDER] = folder
    blocks = None
    try:
        blocks = build_page(page)
        yield _launch(blocks, page, serving)
    finally:
        if blocks is not None:
            blocks.close(verbose=False)
        if before is None:
            del os.environ[_FOLDER]
        else:
            os.environ[_FOLDER] = before
        shutil.rmtree(folder, ignore_errors=True)


def _launch(blocks: gr.Blocks, page: PageSettings, serving: ServingSettings) -> str:
    guarded = GuardSettings(
        _BODY_BYTES,
        page.archive.bytes + page.limits.upload_bytes,
        any_host=not serving.is_local,
        key=serving.key,
    )
    try:
        _, address, _ = blocks.queue(max_size=4 * serving.tabs, api_open=False).launch(
            server_name=serving.host,
            server_port=serving.port,
            inbrowser=serving.open_browser,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            allowed_paths=[],
            max_file_size=page.archive.bytes,
            state_session_capacity=serving.tabs,
            app_kwargs={"middleware": [Middleware(Guard, guarded)]},
            theme=own_theme(),
            # Not as `css`: Gradio rewrites selectors there, and breaks lists of them.
            head=f"<style>{own_text('page.css')}</style>",
        )
    except OSError as error:
        where = f"{serving.host}:{serving.port or '7860 to 7959'}"
        raise ConfigError(
            f"the page cannot be served at {where} ({error}): choose another --port or --host."
        ) from error
    return str(address)


def own_theme() -> gr.themes.Base:
    """Return Gradio's plain theme with the fonts of the reader's own system."""
    return gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
