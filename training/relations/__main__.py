"""Train relations between named things on PSG, and write what they predict.

    python -m training.relations CONFIG.yaml [NAME=VALUE ...]
    python -m training.relations predict MODEL --psg psg/psg.json --coco coco --out test.jsonl
    lisa eval score test.jsonl --benchmark psg:test --data DIR

The first command works out features of the true segments once, learns, and writes the model into
OUTPUT/model; an interrupted run is started again with the same command and goes on. `NAME=VALUE`
changes a setting, such as `optimizer.steps=10`. `predict` goes on where its file ends; with
--true-segments it relates the true segments with their true classes (PSG's "PredCls").
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lisa.errors import LisaError

_PREDICT = "predict"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, or 2 for a mistake of the user's."""
    words = list(sys.argv[1:] if argv is None else argv)
    is_prediction = words[:1] == [_PREDICT]
    try:
        return _predict(words[1:]) if is_prediction else _train(words)
    except LisaError as error:
        print(f"training.relations: error: {error}", file=sys.stderr)
        return 2


def _parser(name: str = "") -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"python -m training.relations{name}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _train(words: Sequence[str]) -> int:
    parser = _parser()
    parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML file of the run")
    parser.add_argument("overrides", nargs="*", metavar="NAME=VALUE", help="changes to it")
    args = parser.parse_args(words)

    from training.relations.recipe import read_recipe
    from training.relations.train import train

    print(f"Wrote {train(read_recipe(args.config, args.overrides))}")
    return 0


def _predict(words: Sequence[str]) -> int:
    parser = _parser(f" {_PREDICT}")
    parser.add_argument("model", metavar="MODEL", help="folder or hub id of a trained model")
    parser.add_argument(
        "--panoptic", metavar="NAME", help="another panoptic model than in training"
    )
    parser.add_argument("--psg", type=Path, required=True, help="the file psg.json")
    parser.add_argument("--coco", type=Path, required=True, help="the folder of COCO's pictures")
    parser.add_argument("--split", choices=("test", "train"), default="test")
    parser.add_argument("--out", type=Path, required=True, help="the .jsonl file to write")
    parser.add_argument("--true-segments", action="store_true", help="relate the true segments")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N pictures")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--offline", action="store_true", help="use only what is on this machine")
    args = parser.parse_args(words)

    from tqdm import tqdm

    from lisa.data.readers.psg import Psg
    from lisa.relations.predictions import write_predictions
    from lisa.relations.scene_graphs import SceneGraphPredictor

    psg = Psg(args.psg, args.coco, args.split)
    predictor = SceneGraphPredictor.from_pretrained(
        args.model, args.panoptic, args.device, offline=args.offline
    )
    with tqdm(desc=_PREDICT, unit="picture") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        write_predictions(
            predictor,
            psg,
            args.out,
            true_segments=args.true_segments,
            limit=args.limit,
            progress=show,
        )
    print(f"Wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
