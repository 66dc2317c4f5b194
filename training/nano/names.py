"""States of the language model at the last word of a name, for training masks before answers."""

from __future__ import annotations

import random

import torch
from torch import Tensor
from tqdm import tqdm

from lisa.data.knowledge import Knowledge
from lisa.data.questions import naming_question
from lisa.models import LisaModel
from lisa.models.backbone import last_states
from lisa.models.seg_rule import seg_source_positions
from lisa.processor import LisaProcessor
from lisa.types import Conversation

_WORDINGS = 4


def _conversation(name: str, rng: random.Random) -> Conversation:
    question = naming_question([name], 0, rng, "train")
    assert question is not None  # an object alone in a picture cannot be mistaken
    return Conversation().ask(question.text).answer(question.answer)


@torch.no_grad()
def name_states(
    model: LisaModel, processor: LisaProcessor, knowledge: Knowledge, seed: int
) -> dict[str, Tensor]:
    """Compute the states that would prompt each name's mask, in several wordings.

    Args:
        model: Its language model is used as it is, without a picture.
        processor: Of the model.
        knowledge: Names that training may use.
        seed: Decides the wordings.

    Returns:
        Per name (wordings, D).
    """
    rng = random.Random(seed)
    found = {}
    for name in tqdm(knowledge.trained_names, desc="states of names", unit="name"):
        examples = [processor.encode_example(_conversation(name, rng)) for _ in range(_WORDINGS)]
        ids, mask = processor.pad([example.input_ids for example in examples])
        with last_states(model.backbone) as steps:
            model.backbone(
                input_ids=ids,
                attention_mask=mask.long(),
                position_ids=(mask.long().cumsum(dim=1) - 1).clamp(min=0),
                use_cache=False,
                logits_to_keep=1,
            )
        positions = seg_source_positions(ids, model.config.seg_token_id, model.config.seg_state)
        found[name] = steps[-1][positions[:, 0], positions[:, 1]]
    return found
