"""A planner on this machine: any instruct or vision-language model of transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from chat.cancellation import Cancellation
from chat.deciders.planner import PlannerError, PlannerMessage, PlannerReply, PlannerRequest
from chat.deciders.planner_places import Units
from lisa.errors import CheckpointError
from lisa.tokenization import escape_control_tokens
from lisa.tokens import TOOL_CALL_END, TOOL_CALL_START
from lisa.types import ToolDescription

if TYPE_CHECKING:
    from PIL import Image

MAX_SIDE = 1024
"""Longest side of a picture that it is shown, in pixels."""

_HOW_TO_CALL = (
    "To call a tool write nothing but one JSON object between two marks, such as "
    f'{TOOL_CALL_START}{{"name": "tag", "arguments": {{}}}}{TOOL_CALL_END}. The tools: '
)


class LocalPlanner:
    """Asks a model through its own chat template.

    A template that knows tools is given them; for any other they are described in words, and the
    results stand in the person's messages.
    """

    max_side = MAX_SIDE

    def __init__(self, model: Any, processor: Any, *, sees: bool, units: Units = "pixels") -> None:
        """Take a model of transformers.

        Args:
            model: That generates text.
            processor: Its processor, or its tokenizer if it sees no pictures.
            sees: Whether it takes pictures.
            units: Of the boxes and points that it writes.
        """
        self._model = model.eval()
        self._processor = processor
        self._tokenizer = getattr(processor, "tokenizer", processor)
        self.sees = sees
        self.units = units
        template = str(processor.chat_template or self._tokenizer.chat_template)
        self._knows_tools = "tools" in template and "tool" in template.replace("tools", "")
        added = {str(one) for one in self._tokenizer.added_tokens_decoder.values()}
        special = {*added, *self._tokenizer.all_special_tokens}
        self._control_tokens = (*special, TOOL_CALL_START, TOOL_CALL_END)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        device: str = "auto",
        dtype: str = "auto",
        *,
        units: Units = "pixels",
        revision: str | None = None,
        offline: bool = False,
    ) -> Self:
        """Load a model.

        Args:
            name_or_path: Hub id or folder in transformers' layout, with safetensors and a chat
                template.
            device: "auto", "cpu", "cuda", "cuda:1", "mps".
            dtype: "auto", "float32", "bfloat16", "float16".
            units: Of the boxes and points that it writes.
            revision: Branch, tag or commit on the hub.
            offline: Never ask the network.

        Raises:
            CheckpointError: If weights or chat template cannot be found or read.
            DeviceError: If device or number type do not exist here.
        """
        from transformers import (
            AutoConfig,
            AutoModelForCausalLM,
            AutoModelForImageTextToText,
            AutoProcessor,
            AutoTokenizer,
        )
        from transformers.models.auto.modeling_auto import (
            MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as SEEING,
        )

        from lisa.devices import choose_device, choose_dtype
        from lisa.hub import resolve
        from lisa.models.loading import readable_weights

        place = choose_device(device)
        folder = str(resolve(name_or_path, revision, offline, pickled=None))
        with readable_weights(str(name_or_path)):
            kind = AutoConfig.from_pretrained(folder, local_files_only=True).model_type
            sees = kind in SEEING
            opener: Any = AutoModelForImageTextToText if sees else AutoModelForCausalLM
            model = opener.from_pretrained(
                folder,
                dtype=choose_dtype(dtype, place),
                local_files_only=True,
                use_safetensors=True,
            )
            reader: Any = AutoProcessor if sees else AutoTokenizer
            processor = reader.from_pretrained(folder, local_files_only=True)
        tokenizer = getattr(processor, "tokenizer", processor)
        if not (getattr(processor, "chat_template", None) or tokenizer.chat_template):
            raise CheckpointError(
                f"{name_or_path} has no chat template, so it cannot be talked to: choose an "
                "instruct model."
            )
        return cls(model.to(place), processor, sees=sees, units=units)

    def reply(self, request: PlannerRequest) -> PlannerReply:
        """Let the model write.

        Raises:
            PlannerError: If its chat template does not take such a conversation.
            TurnCancelled: If somebody stopped the turn meanwhile.
        """
        import torch
        from jinja2 import TemplateError

        options: dict[str, Any] = {}
        if request.tools and self._knows_tools:
            options["tools"] = _functions(request.tools)
        try:
            inputs = self._processor.apply_chat_template(
                self._messages(request),
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                **options,
            ).to(self._model.device)
        except (TemplateError, TypeError, ValueError) as error:
            raise PlannerError(
                f"the planner's chat template does not take this conversation ({error}): choose "
                "another model."
            ) from error
        with torch.inference_mode():
            written = self._model.generate(
                **inputs,
                max_new_tokens=request.max_new_tokens,
                do_sample=False,
                stopping_criteria=_stopping(request.cancellation),
            )
        request.cancellation.check()
        new = written[0, inputs["input_ids"].shape[1] :]
        return PlannerReply(self._tokenizer.decode(new, skip_special_tokens=True).strip())

    def _messages(self, request: PlannerRequest) -> list[dict[str, Any]]:
        """Return messages as chat templates take them."""
        system, *rest = request.messages
        told = system.text
        if request.tools and not self._knows_tools:
            told = f"{told}\n{_HOW_TO_CALL}{json.dumps(_functions(request.tools))}"
        written = [self._message("system", told, None)] if self._knows_tools else []
        # Templates without tools often know no system message either.
        before = None if self._knows_tools else told
        image = request.image
        for message in rest:
            text = self._text(message)
            role = message.role
            if role == "tool" and not self._knows_tools:
                role, text = "user", f"Result: {text}"
            if role == "user" and before is not None:
                text, before = f"{before}\n\n{text}", None
            shown = image if role == "user" else None
            if message.call is not None and self._knows_tools:
                written.append(_called(message))
            else:
                written.append(self._message(role, text, shown))
            image = None if shown is not None else image
        return written

    def _text(self, message: PlannerMessage) -> str:
        """Return a message's text, in which only the planner itself may write control tokens."""
        if message.role == "assistant":
            return message.text
        return escape_control_tokens(message.text, self._control_tokens)

    def _message(self, role: str, text: str, image: Image.Image | None) -> dict[str, Any]:
        if not self.sees:
            return {"role": role, "content": text}
        parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
        if image is not None:
            parts.insert(0, {"type": "image", "image": image})
        return {"role": role, "content": parts}


def _functions(tools: Sequence[ToolDescription]) -> list[Mapping[str, Any]]:
    return [{"type": "function", "function": asdict(tool)} for tool in tools]


def _called(message: PlannerMessage) -> dict[str, Any]:
    assert message.call is not None
    function = {"name": message.call.name, "arguments": dict(message.call.arguments)}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": function}],
    }


def _stopping(cancellation: Cancellation) -> Any:
    """Return what ends the writing once the turn has to end."""
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Over(StoppingCriteria):
        def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            over = cancellation.is_over
            return torch.full((len(input_ids),), over, dtype=torch.bool, device=input_ids.device)

    return StoppingCriteriaList([Over()])
