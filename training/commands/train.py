"""Fine-tunes a model as a configuration file says.

    lisa train training/configs/custom.yaml data.registry=my/data.yaml output.folder=runs/mine
    lisa train runs/mine/config.yaml --resume

Data sets that the registry names under `validation` are asked about every `validation.every` steps,
before the first and after the last: scores in `validation.jsonl`, pictures in `validation/`, the
best checkpoint is kept.

On several processes: `accelerate launch --num_processes 8 -m lisa.cli train CONFIG`, or the same
with `torchrun --nproc_per_node 8`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "fine-tune a model on your own data or on the published recipe's"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lisa train`."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML file of the run")
    parser.add_argument(
        "words", nargs="*", metavar="KEY=VALUE", help="changes, such as optimizer.steps=100"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")


def run(args: argparse.Namespace) -> int:
    """Trains and says where the last checkpoint is, and which one is the best."""
    from training.checkpoints import best_checkpoint, scores_of
    from training.config import read_config
    from training.run import train

    config = read_config(args.config, args.words)
    checkpoint = train(config, resume=args.resume)
    print(f"Wrote {checkpoint}")
    best = best_checkpoint(checkpoint.parent)
    scores = None if best is None else scores_of(best)
    if best is not None and scores is not None:
        print(f"Best on the validation pictures: {best} (gIoU {scores['giou']:.3f})")
        checkpoint = best
    print(f"Make a model of it with: lisa merge {checkpoint} MODEL_FOLDER")
    return 0
