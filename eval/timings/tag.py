"""How many pictures a second are tagged: `python -m eval.speed tag`.

Released tagging code takes one picture at a time, in float32. Ours does so on a CPU, where eight at
once are slower; on a GPU it takes eight, in bfloat16. Both ways give the same pictures to the same
weights, in turns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from lisa.demo import demo_picture
from lisa.measurement import Measurement, in_turns, seconds
from lisa.tagging import Tagger, TagInfo, build_model
from lisa.tagging.released import FULL_SIZES

PICTURES = 16
ROUNDS = 5


def measure() -> dict[str, Measurement]:
    """Measure the tagger of lisa-nano on the CPU, and one of RAM's size on a GPU.

    Returns:
        Pictures a second; the ratio is to one picture at a time in float32.

    Raises:
        DataError: If this installation has no demo picture.
    """
    pictures = _pictures()
    nano = Tagger.from_pretrained("lisa-nano", device="cpu", offline=True)
    found = {"nano_cpu_eight_at_once": compare(nano, nano, pictures)}
    if torch.cuda.is_available():
        plain, half = (_ram(torch.device("cuda"), dtype) for dtype in (torch.float32, None))
        found["ram_cuda"] = compare(half, plain, pictures)
    return found


def compare(
    ours: Tagger, original: Tagger, pictures: Sequence[Image.Image], rounds: int = ROUNDS
) -> Measurement:
    """Measure both ways.

    Args:
        ours: Takes eight pictures at once.
        original: Takes them one by one.
        pictures: At least one.
        rounds: How often.
    """
    fast, slow = (
        [len(pictures) / took for took in taken]
        for taken in in_turns(
            (
                lambda: seconds(lambda: ours(pictures, batch_size=8)),
                lambda: seconds(lambda: original(pictures, batch_size=1)),
            ),
            rounds,
        )
    )
    return Measurement.of(fast, "pictures/s", slow, more_is_better=True)


def _pictures() -> list[Image.Image]:
    """Return pieces of the demo picture, each of another size."""
    whole = demo_picture()
    return [whole.crop((4 * n, 2 * n, whole.width, whole.height - 4 * n)) for n in range(PICTURES)]


def _ram(device: torch.device, dtype: torch.dtype | None) -> Tagger:
    """Build a tagger of RAM's size with random weights, in bfloat16 unless told otherwise."""
    torch.manual_seed(0)
    config = FULL_SIZES["ram_swin_large_14m.pth"]
    model = build_model(config).to(device=device, dtype=dtype or torch.bfloat16).train(False)
    tags = [TagInfo(str(number), 0.5) for number in range(config.num_tags)]
    return Tagger(model, tags)
