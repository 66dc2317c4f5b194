"""Reads the sizes of a SAM from the shapes of its weights, where no configuration tells them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lisa.errors import CheckpointError
from lisa.models.segmenters.config import SamConfig

_RELEASED_WINDOW = 14


def sam_config_from_state_dict(shapes: Mapping[str, Sequence[int]]) -> SamConfig:
    """Return the configuration of the SAM that weights in Meta's layout belong to.

    Everything follows from the shapes, except the heads of the mask decoder: 8 in every SAM.

    Args:
        shapes: Shape of each tensor by its key, keys as in Meta's checkpoints
            (``image_encoder.pos_embed``); other keys are ignored.

    Raises:
        CheckpointError: If a key that tells a size is missing, or the shapes contradict each other.
    """
    sizes = _Shapes(shapes)
    _, height, grid, embed_dim = sizes.of("image_encoder.pos_embed", 4)
    if height != grid:
        raise CheckpointError(
            f"The SAM weights have a grid of {height} x {grid} patches; only square ones can be "
            "loaded."
        )
    patch_size = sizes.of("image_encoder.patch_embed.proj.weight", 4)[2]
    depth = sizes.count(r"image_encoder\.blocks\.(\d+)\.")
    relative = [sizes.of(f"image_encoder.blocks.{i}.attn.rel_pos_h", 2) for i in range(depth)]
    # A window as large as the grid is the whole grid: calling such a block global changes nothing.
    global_blocks = tuple(i for i, shape in enumerate(relative) if shape[0] == 2 * grid - 1)
    windows = {(shape[0] + 1) // 2 for i, shape in enumerate(relative) if i not in global_blocks}
    if len(windows) > 1:
        raise CheckpointError(
            f"The SAM weights have windows of several sizes, {sorted(windows)}, in one image "
            "encoder; only one size can be loaded."
        )
    decoder = "mask_decoder"
    return SamConfig(
        embed_dim=embed_dim,
        depth=depth,
        num_heads=embed_dim // relative[0][1],
        encoder_mlp_dim=sizes.of("image_encoder.blocks.0.mlp.lin1.weight", 2)[0],
        global_attn_indexes=global_blocks,
        image_size=grid * patch_size,
        patch_size=patch_size,
        window_size=windows.pop() if windows else _RELEASED_WINDOW,
        prompt_dim=sizes.of("image_encoder.neck.0.weight", 4)[0],
        mask_in_chans=sizes.of("prompt_encoder.mask_downscaling.3.weight", 4)[0],
        decoder_depth=sizes.count(rf"{decoder}\.transformer\.layers\.(\d+)\."),
        decoder_mlp_dim=sizes.of(f"{decoder}.transformer.layers.0.mlp.lin1.weight", 2)[0],
        num_multimask_outputs=sizes.of(f"{decoder}.mask_tokens.weight", 2)[0] - 1,
        iou_head_depth=sizes.count(rf"{decoder}\.iou_prediction_head\.layers\.(\d+)\."),
        iou_head_hidden_dim=sizes.of(f"{decoder}.iou_prediction_head.layers.0.weight", 2)[0],
    )


class _Shapes:
    """Looks shapes up and says in one sentence what is wrong with them."""

    def __init__(self, shapes: Mapping[str, Sequence[int]]) -> None:
        self._shapes = shapes

    def of(self, key: str, ndim: int) -> tuple[int, ...]:
        shape = self._shapes.get(key)
        if shape is None:
            raise CheckpointError(
                f"The SAM weights lack {key!r}, which tells a size of the model: give a complete "
                "checkpoint in Meta's key names."
            )
        if len(shape) != ndim:
            raise CheckpointError(
                f"The SAM weight {key!r} has shape {tuple(shape)}, wanted {ndim} dimensions: "
                "the file is not an unquantised SAM checkpoint."
            )
        return tuple(shape)

    def count(self, pattern: str) -> int:
        """Return how many indices the pattern's group takes; they start at 0 without a gap."""
        found = {int(match[1]) for key in self._shapes if (match := re.match(pattern, key))}
        if found != set(range(len(found))) or not found:
            raise CheckpointError(
                f"The SAM weights have the indices {sorted(found)} where {pattern!r} is counted; "
                "they must start at 0 and have no gap."
            )
        return len(found)
