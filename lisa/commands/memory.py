"""How much memory a model needs, from its parameter counts.

    bytes = weights + cache + working

    weights   parameters x bytes each. At 8 and 4 bits only the matrices of the language model's
              layers shrink, to 1 byte, and to 4.5 bits (a 32-bit scale for every 64 weights);
              embeddings, output matrix, vision tower and segmenter stay at 2 bytes.
    cache     keys and values: 2 x layers x their width x 1,024 tokens x bytes of the number type
    working   the segmenter's largest attention, scores and their position term:
              2 x heads x (grid cells)^2 x bytes; and a tenth of the weights for everything else

Checked against the released files: 7B in bfloat16 gives their 16.1 GB of weights to within 5 %.
"""

from __future__ import annotations

from dataclasses import dataclass

GIB = 2**30
TOKENS = 1024
PRECISIONS = ("float32", "bfloat16", "8bit", "4bit")
_FLOAT_BYTES = {"float32": 4.0, "bfloat16": 2.0, "8bit": 2.0, "4bit": 2.0}
_MATRIX_BYTES = {"float32": 4.0, "bfloat16": 2.0, "8bit": 1.0, "4bit": 4.5 / 8}


@dataclass(frozen=True)
class ModelSize:
    """The parameter counts that decide a model's memory.

    Attributes:
        name: As `lisa doctor` shows it.
        matrices: Parameters in the matrices of the language model's layers; these can be quantised.
        others: All others: embeddings, output matrix, vision tower, projections, segmenter.
        layers: Layers of the language model.
        cache_width: Width of the keys of one layer, all heads together.
        attention_heads: Heads of the segmenter's attention over the whole picture, 0 if none.
        grid_cells: Cells of the segmenter's feature grid, h x w.
    """

    name: str
    matrices: int
    others: int
    layers: int
    cache_width: int
    attention_heads: int
    grid_cells: int


def llama_matrices(layers: int, width: int, inner: int, key_width: int) -> int:
    """Parameters in the seven matrices of each LLaMA layer: four of attention, three of the MLP."""
    return layers * (2 * width * width + 2 * width * key_width + 3 * width * inner)


def _released(name: str, layers: int, width: int, inner: int) -> ModelSize:
    vocabulary, clip, sam_vit_h = 32_003, 303_507_456, 641_090_608
    heads = (width + 1) * width + (width + 1) * 256 + 1025 * width
    others = 2 * vocabulary * width + clip + sam_vit_h + heads
    return ModelSize(
        name, llama_matrices(layers, width, inner, width), others, layers, width, 16, 64 * 64
    )


MODELS = (
    # SmolLM2-135M with its tied embeddings; trunk and decoder together are under ten million.
    ModelSize("lisa-nano", llama_matrices(30, 576, 1536, 192), 38_000_000, 30, 192, 0, 0),
    _released("LISA-7B", 32, 4096, 11_008),
    _released("LISA-13B", 40, 5120, 13_824),
)


def weight_bytes(model: ModelSize, precision: str) -> float:
    """Bytes of the weights alone.

    Args:
        model: Its sizes.
        precision: One of `PRECISIONS`.
    """
    return model.matrices * _MATRIX_BYTES[precision] + model.others * _FLOAT_BYTES[precision]


def estimate_bytes(model: ModelSize, precision: str) -> float:
    """Bytes for one question about one picture, by the formula at the top of this file.

    Args:
        model: Its sizes.
        precision: One of `PRECISIONS`.
    """
    number = _FLOAT_BYTES[precision]
    weights = weight_bytes(model, precision)
    cache = 2 * model.layers * model.cache_width * TOKENS * number
    attention = 2 * model.attention_heads * model.grid_cells**2 * number
    return weights + cache + attention + weights / 10
