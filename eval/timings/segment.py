"""How long lisa-nano takes to load and to answer with 12 new tokens, on this machine's CPU."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING

from lisa.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

    from lisa.pipeline import LisaPipeline

NEW_TOKENS = 12
REPEATS = 5
QUESTION = "Which of these is mashed into guacamole?"


def measure() -> dict[str, float]:
    """Measures import, first load, load, first answer and answer.

    Returns:
        Seconds by name. `first_load_seconds` includes the conversion of the language model, done
        anew in a fresh cache; `load_seconds` follows with that cache. `answer_seconds` is the
        median of five, with the encoding of the picture, exactly 12 new tokens and the masks.

    Raises:
        DataError: This installation has no demo picture.
    """
    start = time.perf_counter()
    from lisa.devices import limit_threads
    from lisa.pipeline import LisaPipeline

    imported = time.perf_counter() - start
    threads = limit_threads()
    image = _demo_picture()
    with _fresh_cache():
        first_load, _ = _timed_load(LisaPipeline)
        load, pipeline = _timed_load(LisaPipeline)
        answers = [_time_answer(pipeline, image) for _ in range(REPEATS + 1)]
    return {
        "threads": float(threads),
        "import_seconds": imported,
        "first_load_seconds": first_load,
        "load_seconds": load,
        "first_answer_seconds": answers[0],
        "answer_seconds": statistics.median(answers[1:]),
    }


def _timed_load(pipeline_class: type[LisaPipeline]) -> tuple[float, LisaPipeline]:
    start = time.perf_counter()
    pipeline = pipeline_class.from_pretrained("lisa-nano", device="cpu", offline=True)
    return time.perf_counter() - start, pipeline


def _time_answer(pipeline: LisaPipeline, image: Image.Image) -> float:
    import torch

    from lisa.types import Conversation

    start = time.perf_counter()
    row = pipeline.processor.encode_conversation(Conversation().ask(QUESTION, image_index=0))
    input_ids, mask = pipeline.processor.pad([row])
    pipeline.model.generate(
        input_ids,
        mask,
        [pipeline.encode(image)],
        torch.tensor([0]),
        # The same number of tokens with all weights, or the times do not compare.
        min_new_tokens=NEW_TOKENS,
        max_new_tokens=NEW_TOKENS,
        eos_token_id=pipeline.processor.tokenizer.eos_token_id,
    )
    return time.perf_counter() - start


def _demo_picture() -> Image.Image:
    from lisa.images import open_image

    folder = files("lisa").joinpath("nano", "demo")
    pictures = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    pictures = [name for name in pictures if name.endswith(".jpg")]
    if not pictures:
        raise DataError("this installation has no demo picture (lisa/nano/demo): install it again.")
    return open_image(folder.joinpath(pictures[0]).read_bytes())


@contextmanager
def _fresh_cache() -> Iterator[None]:
    before = os.environ.get("LISA_CACHE")
    with tempfile.TemporaryDirectory(prefix="lisa-speed-") as folder:
        os.environ["LISA_CACHE"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["LISA_CACHE"]
            else:
                os.environ["LISA_CACHE"] = before
