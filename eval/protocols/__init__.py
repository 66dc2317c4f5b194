"""Ways to ask a model, by name; scores of different ones are never mixed."""

from __future__ import annotations

from typing import Literal, TypeAlias

from eval.protocols.contract import Protocol
from eval.protocols.generate import Generate
from eval.protocols.teacher_forced import TeacherForced

ProtocolName: TypeAlias = Literal["generate", "teacher_forced"]

PROTOCOLS: dict[ProtocolName, Protocol] = {
    "generate": Generate(),
    "teacher_forced": TeacherForced(),
}

__all__ = ["PROTOCOLS", "Protocol", "ProtocolName"]
