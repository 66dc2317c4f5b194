"""Makes a model of its own from a checkpoint of a run: LoRA layers are folded into the weights.

lisa merge runs/mine/checkpoints/step-00000100 weights/mine
lisa segment photo.jpg "Where is the valve?" --model weights/mine
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "fold what a run has learnt into a model of its own"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa merge`."""
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="folder of a run's step"
    )
    parser.add_argument("target", type=Path, metavar="DST", help="folder to write")


def run(args: argparse.Namespace) -> int:
    """Merges and says what was written."""
    from training.merge import merge

    merge(args.checkpoint, args.target)
    print(f"Wrote {args.target}; use it with: lisa segment IMAGE QUESTION --model {args.target}")
    return 0
