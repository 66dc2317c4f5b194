"""Builds the fixed scenes: `python -m eval.nano.build_scenes --stamps DIR`.

DIR is the folder `stamps` of the Debian package tuxpaint-stamps-default. Scenes, questions and the
list of cut-outs are a function of the constants below, of that package and of the knowledge table;
the repository keeps the result, so that scores stay comparable when generator or table change.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from eval.nano.cutout_licences import may_be_shown
from eval.nano.read_scenes import RECORDS, SCENES
from eval.questions import BoolMask
from lisa.data.knowledge import Knowledge, load_knowledge
from lisa.data.questions import (
    FactSplit,
    Question,
    absent_question,
    naming_question,
    reasoning_question,
)
from lisa.data.scenes import CutoutLibrary, Scene, compose_scene
from lisa.errors import DataError, LisaError
from lisa.masks import encode_rle

SCENE_COUNT = 400
FIRST_SEED = 900_000_000
"""Far above every seed of training: those count up from zero."""

ATTEMPTS = 100
"""Seeds reserved for each scene: where an object finds no room the next one is tried."""

UNSEEN_PATTERN = (3, 10, 17)
"""Of each twenty scenes, those that hold, and ask for, an object never trained on."""

WEBP_QUALITY = 88
PLAIN_NAMING = "Segment {the}."


@dataclass(frozen=True)
class Plan:
    """What a scene must hold.

    Attributes:
        main: The trained object that is asked for by name.
        unseen: An object never trained on; None in most scenes.
        names: All objects, back to front.
        cutouts: Name -> the cut-out to use, where that is not left to the generator.
        seeds: Seeds to try.
        index: Number of the scene.
    """

    main: str
    unseen: str | None
    names: tuple[str, ...]
    cutouts: dict[str, str]
    seeds: range
    index: int


def click_point(mask: BoolMask) -> tuple[float, float]:
    """Returns the middle of the most interior pixel of a mask, `(x, y)`.

    That is the pixel farthest from every pixel outside; the picture's edge counts as outside.
    """
    from scipy.ndimage import distance_transform_edt  # type: ignore[import-untyped]

    distance = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(distance)), mask.shape)
    return float(column) + 0.5, float(row) + 0.5


def shown_cutouts(knowledge: Knowledge) -> dict[str, tuple[str, ...]]:
    """Returns name -> its cut-outs that a fixed scene may show; names without any are left out."""
    kept = {
        name: tuple(stamp for stamp in item.stamps if may_be_shown(stamp))
        for name, item in knowledge.objects.items()
    }
    return {name: stamps for name, stamps in sorted(kept.items()) if stamps}


def _endless(names: Sequence[str], rng: random.Random) -> Iterator[str]:
    """Yields all names in a random order, again and again, so that each comes equally often."""
    while True:
        yield from rng.sample(names, len(names))


def make_plans(knowledge: Knowledge, count: int) -> Iterator[Plan]:
    """Yields what each of `count` scenes must hold."""
    cutouts = shown_cutouts(knowledge)
    trained = [name for name in cutouts if name not in knowledge.unseen_objects]
    unseen = [name for name in cutouts if name in knowledge.unseen_objects]
    rng = random.Random(FIRST_SEED)
    mains, strangers = _endless(trained, rng), _endless(unseen, rng)
    for index in range(count):
        main = next(mains)
        stranger = next(strangers) if index % 20 in UNSEEN_PATTERN else None
        names = [main] if stranger is None else [main, stranger]
        others = rng.sample(trained, len(trained))
        wanted = max(rng.randint(2, 5), len(names) + 1)
        while len(names) < wanted:
            name = others.pop()
            if not any(_alike(knowledge, name, known) for known in names):
                names.append(name)
        rng.shuffle(names)
        chosen = {}
        for name in names:
            held_out = [c for c in cutouts[name] if c in knowledge.held_out_stamps]
            known = [c for c in cutouts[name] if c not in knowledge.held_out_stamps]
            pool = held_out if not known or (held_out and rng.random() < 0.5) else known
            chosen[name] = rng.choice(pool)
        first = FIRST_SEED + index * ATTEMPTS
        yield Plan(main, stranger, tuple(names), chosen, range(first, first + ATTEMPTS), index)


def _alike(knowledge: Knowledge, first: str, second: str) -> bool:
    return knowledge.answers_to(first, second) or knowledge.answers_to(second, first)


def build_scene(
    plan: Plan, library: CutoutLibrary, knowledge: Knowledge
) -> tuple[Scene, list[dict[str, Any]]]:
    """Composes a planned scene and asks about it.

    Returns:
        The scene, and its questions as records of `scenes.jsonl`.

    Raises:
        DataError: None of the plan's seeds gives room to every object.
    """
    for seed in plan.seeds:
        scene = compose_scene(library, seed, names=plan.names, cutouts=plan.cutouts)
        if len(scene.objects) == len(plan.names):
            return scene, list(_ask(scene, plan, knowledge, random.Random(seed)))
    raise DataError(f"no seed of {plan.seeds} has room for {', '.join(plan.names)}.")


def _ask(
    scene: Scene, plan: Plan, knowledge: Knowledge, rng: random.Random
) -> Iterator[dict[str, Any]]:
    names = scene.names

    def record(group: str, target: int | None, **fields: Any) -> dict[str, Any]:
        held_out = target is not None and scene.objects[target].cutout in knowledge.held_out_stamps
        return {"group": group, "object": target, **fields, "held_out_cutout": held_out}

    def asked(group: str, question: Question) -> dict[str, Any]:
        target = question.targets[0] if question.targets else None
        fact = {} if question.fact is None else {"fact": question.fact}
        return record(group, target, text=question.text, **fact)

    yield record("naming", names.index(plan.main), text=_name(scene, plan.main, plan.index, rng))
    if plan.unseen is not None:
        text = _name(scene, plan.unseen, plan.index, rng)
        yield record("unseen_objects", names.index(plan.unseen), text=text)
    trained = [i for i, name in enumerate(names) if name not in knowledge.unseen_objects]
    splits: tuple[tuple[str, FactSplit], ...] = (
        ("reasoning_seen", "eval_seen"),
        ("reasoning_unseen", "eval_unseen"),
    )
    for group, split in splits:
        for target in rng.sample(trained, len(trained)):
            question = reasoning_question(names, target, rng, split)
            if question is not None:
                yield asked(group, question)
                break
    yield asked("absent", absent_question(names, rng, "eval"))
    target = rng.choice(trained)
    yield record("click", target, point=list(click_point(scene.objects[target].mask)))
    yield record("box", target, box=scene.objects[target].box)


def _name(scene: Scene, name: str, index: int, rng: random.Random) -> str:
    """Asks for an object by name: plainly in every second scene, else in a held-out wording."""
    if index % 2 == 0:
        return PLAIN_NAMING.format(the=load_knowledge()[name].definite)
    question = naming_question(scene.names, scene.names.index(name), rng, "eval")
    assert question is not None, "the plan keeps objects with confusable names apart"
    return question.text


def write_scenes(folder: Path, stamps: Path, count: int = SCENE_COUNT) -> Counter[str]:
    """Builds all scenes and writes pictures, records and the list of cut-outs.

    Args:
        folder: Where `images/`, `scenes.jsonl` and `ATTRIBUTION.md` are written.
        stamps: The folder `stamps` of tuxpaint-stamps-default.
        count: How many scenes.

    Returns:
        How many scenes show each cut-out.
    """
    knowledge = load_knowledge()
    library = CutoutLibrary(stamps, shown_cutouts(knowledge))
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines, used, names = [], Counter[str](), {}
    for plan in tqdm(make_plans(knowledge, count), total=count, unit="scene"):
        scene, questions = build_scene(plan, library, knowledge)
        file = f"images/{plan.index:04d}.webp"
        buffer = io.BytesIO()
        scene.image.save(buffer, "WEBP", quality=WEBP_QUALITY, method=6)
        (folder / file).write_bytes(buffer.getvalue())
        objects = [
            {"name": item.name, "cutout": item.cutout, "mask": encode_rle(item.mask)}
            for item in scene.objects
        ]
        record = {
            "id": f"{plan.index:04d}",
            "image": file,
            "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
            "size": [scene.image.height, scene.image.width],
            "seed": scene.seed,
            "objects": objects,
            "questions": questions,
        }
        lines.append(json.dumps(record, separators=(",", ":")))
        used.update(item.cutout for item in scene.objects)
        names.update({item.cutout: item.name for item in scene.objects})
    (folder / RECORDS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "ATTRIBUTION.md").write_text(_attribution(used, names), encoding="utf-8")
    return used


def _attribution(used: Counter[str], names: dict[str, str]) -> str:
    head = (
        "# Cut-outs in the fixed scenes\n\n"
        "All of them come from Tux Paint Stamps, copyright 2002-2022 by Bill Kendrick and the\n"
        "contributors whom its change log names, as packaged by Debian in tuxpaint-stamps-default\n"
        "(2022.06.04-1), under the GNU General Public License, version 2. They were scaled,\n"
        "mirrored, turned, re-lit and pasted on generated backgrounds. Paths are relative to the\n"
        "package's folder `stamps`. Written by `python -m eval.nano.build_scenes`.\n\n"
        "| cut-out | shows | scenes |\n|---|---|---|\n"
    )
    return head + "".join(f"| {path} | {names[path]} | {used[path]} |\n" for path in sorted(used))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns 0, or 2 for a mistake that the message explains."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.nano.build_scenes", description="Build the fixed scenes anew."
    )
    parser.add_argument(
        "--stamps", type=Path, required=True, help="folder `stamps` of tuxpaint-stamps-default"
    )
    parser.add_argument(
        "--out", type=Path, default=SCENES, help="folder to write (default: the repository's)"
    )
    args = parser.parse_args(argv)
    try:
        used = write_scenes(args.out, args.stamps)
    except LisaError as error:
        print(f"lisa: error: {error}", file=sys.stderr)
        return 2
    size = sum(path.stat().st_size for path in args.out.rglob("*") if path.is_file())
    print(f"{SCENE_COUNT} scenes of {len(used)} cut-outs, {size / 1e6:.2f} MB in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
