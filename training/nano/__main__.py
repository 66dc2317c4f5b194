"""Train `lisa-nano` from the packages of the registries.

    python -m training.nano [--recipe FILE] [--work DIR] [--out DIR] [--threads N] [NAME=VALUE ...]

Every part keeps what it has done in the work folder: an interrupted run is started again with the
same command and goes on. `NAME=VALUE` changes a number of the recipe, such as `decoder.steps=10`.
With --finished the checkpoint in --out stays as it is, and only what stands beside it is trained.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lisa.data.knowledge import load_knowledge
from lisa.data.scenes import CutoutLibrary
from lisa.errors import LisaError
from lisa.models import LisaModel
from lisa.pipeline import LisaPipeline
from lisa.processor import LisaProcessor
from training.lora import LanguageAdapter
from training.nano.build import NEW_TOKENS, build_model, build_processor
from training.nano.corpus import Corpus, build_corpus
from training.nano.decoder_stage import train_decoder
from training.nano.language_stage import train_jointly, train_language
from training.nano.names import name_states
from training.nano.pack import pack
from training.nano.projector_stage import train_projector
from training.nano.recipe import RECIPE, NanoRecipe, read_recipe
from training.nano.relation_stage import train_relations
from training.nano.sources import stamps_folder
from training.nano.tagger_stage import train_tagger

STAGES = ("decoder", "language", "joint")
_OUT = Path(__file__).parents[2] / "lisa" / "nano"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe; returns the exit code: 0, or 2 for a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m training.nano", description=__doc__)
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="YAML file of the numbers")
    parser.add_argument("--work", type=Path, default=Path("runs/nano"), help="working folder")
    parser.add_argument("--stamps", type=Path, help="folder `stamps` of tuxpaint-stamps-default")
    parser.add_argument("--out", type=Path, default=_OUT, help="where the checkpoint goes")
    parser.add_argument("--threads", type=int, help="CPU threads; left out, torch decides")
    parser.add_argument(
        "--finished", action="store_true", help="take the model in --out, train what is beside it"
    )
    parser.add_argument("overrides", nargs="*", metavar="NAME=VALUE", help="numbers of the recipe")
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        recipe = read_recipe(args.overrides, args.recipe)
        train(recipe, args.work, args.stamps, args.out, finished=args.finished)
    except LisaError as error:
        print(f"training.nano: error: {error}", file=sys.stderr)
        return 2
    return 0


def train(
    recipe: NanoRecipe, work: Path, stamps: Path | None, out: Path, *, finished: bool = False
) -> None:
    """Run all stages and write the checkpoint, and what stands beside it, into `out`.

    Args:
        recipe: The numbers.
        work: Where stages keep what they have done.
        stamps: Folder of the cut-outs; None finds or fetches it.
        out: Folder of the checkpoint.
        finished: Whether the checkpoint is there already.
    """
    knowledge = load_knowledge()
    library = CutoutLibrary(stamps_folder(stamps, work), knowledge.training_stamps())
    if finished:
        pipeline = LisaPipeline.from_pretrained(out, device="cpu", dtype="float32")
        model, processor = pipeline.model, pipeline.processor
    else:
        processor = build_processor()
        model = build_model(processor, recipe)
    seeds = range(recipe.scene_seed, recipe.scene_seed + recipe.scenes)
    corpus = build_corpus(work / "corpus", model, processor, library, seeds)
    if not finished:
        _train_model(model, processor, corpus, recipe, work, out)
    train_relations(model, processor, corpus, library, recipe, work, out)
    train_tagger(model, corpus, library, recipe.tagger, recipe.seed, work / "tagger", out)
    print(f"wrote {out}")


def _train_model(
    model: LisaModel,
    processor: LisaProcessor,
    corpus: Corpus,
    recipe: NanoRecipe,
    work: Path,
    out: Path,
) -> None:
    knowledge = load_knowledge()
    states = _once(
        work / "names.safetensors", lambda: name_states(model, processor, knowledge, recipe.seed)
    )
    train_decoder(model, processor.transform, corpus, states, recipe, work / STAGES[0])

    projector = model.backbone.model.multi_modal_projector

    def fitted() -> dict[str, Tensor]:
        losses = train_projector(model, processor, corpus, knowledge, recipe.seed)
        print("projector:", json.dumps(losses))
        return dict(projector.state_dict())

    projector.load_state_dict(_once(work / "projector.safetensors", fitted))

    adapter = LanguageAdapter(model.backbone, recipe.lora_rank, recipe.lora_alpha, len(NEW_TOKENS))
    train_language(model, processor, adapter, corpus, recipe, work / STAGES[1])
    train_jointly(model, processor, adapter, corpus, recipe, work / STAGES[2])
    logs = [work / stage / "log.jsonl" for stage in STAGES]
    pack(model, processor, adapter, recipe, out, logs)


def _once(path: Path, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Read tensors that were made before, or make and keep them."""
    if not path.exists():
        tensors = {name: tensor.contiguous() for name, tensor in make().items()}
        staging = path.with_suffix(".part")
        save_file(tensors, staging)
        staging.replace(path)
    return load_file(path)


if __name__ == "__main__":
    sys.exit(main())
