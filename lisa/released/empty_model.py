"""A model whose weights take no memory yet, and the one place where they are put in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lisa.models import LisaConfig, LisaModel
from lisa.released.config import PartTypes


def build_empty(config: LisaConfig, types: PartTypes) -> LisaModel:
    """Builds a model with all parameters on the meta device, and with real buffers.

    Buffers that no checkpoint holds (rotary frequencies, position ids) thus have their values;
    those that it does hold (the segmenter's positional encoding) are replaced like parameters.
    """
    with parameters_on_meta():
        model = LisaModel(config)
    for name, parameter in list(model.named_parameters()):
        put(model, name, parameter.detach().to(types.of(name)))
    model.train(False)
    return model


def put(model: nn.Module, name: str, tensor: Tensor) -> None:
    """Makes a tensor the parameter or buffer called `name`, without copying it."""
    owner_name, _, leaf = name.rpartition(".")
    owner = model.get_submodule(owner_name)
    if leaf in dict(owner.named_parameters(recurse=False)):
        learns = owner.get_parameter(leaf).requires_grad
        setattr(owner, leaf, nn.Parameter(tensor, requires_grad=learns))
    else:
        setattr(owner, leaf, tensor)


@contextmanager
def parameters_on_meta() -> Iterator[None]:
    """Moves each parameter to the meta device at the moment a module takes it.

    `torch.device("meta")` would leave buffers without values too. Memory that was reserved for a
    parameter is never touched, because it is let go before anything is written into it.
    """
    original = nn.Module.register_parameter

    def register(module: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if param is not None and param.device.type != "meta":
            param = nn.Parameter(param.to(device="meta"), requires_grad=param.requires_grad)
        original(module, name, param)

    nn.Module.register_parameter = register  # type: ignore[assignment,method-assign]
    try:
        with torch.no_grad():
            yield
    finally:
        nn.Module.register_parameter = original  # type: ignore[method-assign]
