"""The wordings of generated questions and answers, those of training apart from those held out.

Fields of the templates: `{the}` "the cow", `{The}` at the start of a sentence, `{a}` "a cow",
`{is}` "is" or "are", `{It}` "It" or "They", `{label}` "cow", `{fact}` "gives us milk",
`{category}` "animal", `{a_category}` "an animal"; `{seg}` and `{rej}` are the control tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Split = Literal["train", "eval"]


@dataclass(frozen=True)
class Phrasings:
    """Wordings of one sort of question.

    Attributes:
        train: used in training.
        held_out: never used in training.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]

    def of(self, split: Split) -> tuple[str, ...]:
        """The wordings of a split."""
        return self.train if split == "train" else self.held_out


NAMING: Final = Phrasings(
    train=(
        "Segment {the}.",
        "Where {is} {the}?",
        "Please show me {the}.",
        "Segment {the} in this picture.",
        "Can you segment {the}?",
        "Find {the}.",
        "Could you point to {the} in the image?",
        "Show me where {the} {is}.",
        "I want to see {the}. Please segment it.",
        "Give me the mask of {the}.",
        "Mark {the} in the picture.",
        "Which part of the image shows {the}?",
        "segment {the}",
        "segment {label}",
        "Please find {the} and segment it.",
        "Can you see {the}? Segment it, please.",
    ),
    held_out=(
        "Highlight {the} for me.",
        "Please locate {the} in this photo.",
        "I am looking for {the}. Can you show it to me?",
        "In which area of the picture {is} {the}?",
        "Outline {the}.",
    ),
)
"""An object is asked for by its name."""

REASONING: Final = Phrasings(
    train=(
        "Which thing in the picture {fact}?",
        "Segment the object that {fact}.",
        "Which of these {fact}?",
        "Show me the thing that {fact}.",
        "What in this picture {fact}?",
        "Find the thing that {fact}.",
        "Where is the thing that {fact}?",
        "Please segment what {fact}.",
        "Can you find something here that {fact}?",
        "Something in the image {fact}. Segment it.",
        "Which object {fact}?",
        "One of these things {fact}. Which one?",
        "Point to the object that {fact}.",
        "Give me the mask of the thing that {fact}.",
        "Please show me what {fact}.",
        "segment the one that {fact}",
        "I need the thing that {fact}. Where is it?",
        "Mark whatever {fact}.",
    ),
    held_out=(
        "Highlight the item that {fact}.",
        "Is there anything in this photo that {fact}? Show me where.",
        "What can you see that {fact}? Please outline it.",
        "Tell me which of the objects here {fact}.",
        "I am thinking of something that {fact}. Can you locate it?",
        "Look at the picture and pick out the one that {fact}.",
    ),
)
"""An object is asked for by a fact about it."""

CATEGORY: Final = Phrasings(
    train=(
        "Which one is {a_category}?",
        "Segment the {category}.",
        "Where is the {category}?",
        "Find {a_category} in the picture.",
        "Show me the {category}.",
        "What in this picture is {a_category}?",
    ),
    held_out=(
        "Highlight the {category} in this photo.",
        "Can you spot {a_category} here?",
    ),
)
"""An object is asked for by its category."""

SEVERAL: Final = Phrasings(
    train=(
        "Segment {first} and {second}.",
        "Where are {first} and {second}?",
        "Show me {first} and {second}, please.",
        "Find both {first} and {second}.",
    ),
    held_out=(
        "Highlight {first} and also {second}.",
        "Please locate {first} as well as {second}.",
    ),
)
"""Two objects are asked for at once."""

LISTING: Final = Phrasings(
    train=(
        "What is in the picture?",
        "What can you see? Segment everything.",
        "Segment all objects.",
        "List the things in this image and show where they are.",
        "Describe what you see, with a mask for each thing.",
    ),
    held_out=(
        "Tell me everything that this photo shows.",
        "Which objects are there? Outline each of them.",
    ),
)
"""All objects are asked for."""

COUNTING: Final = Phrasings(
    train=("How many objects are in the picture?", "Count the things in this image."),
    held_out=("What is the number of objects here?",),
)
"""The answer is a number in words, without a mask."""

PRESENCE: Final = Phrasings(
    train=(
        "Does the picture show {a}? Yes or no?",
        "Can you see {a}? Answer yes or no.",
    ),
    held_out=("Would you say that {a} can be seen here, yes or no?",),
)
"""The answer is yes or no, without a mask."""

MASK_ONLY: Final = Phrasings(
    train=(
        "Answer with the mask only.",
        "Mask only.",
        "Just the mask, please.",
        "Please give nothing but the segmentation mask.",
    ),
    held_out=("I only want the mask, no words.",),
)
"""Put after a question whose answer shall be the bare mask."""

TEXT_ONLY: Final = (
    "Name the thing that {fact}.",
    "What {fact}?",
    "Which thing {fact}?",
    "Tell me what {fact}.",
    "I am thinking of something that {fact}. What is it?",
)
"""A fact is asked about without a picture."""

TEXT_CHOICE: Final = (
    "Which of these {fact}: {choices}?",
    "{choices}: which one {fact}?",
    "You see {choices}. Which of them {fact}?",
)
"""As `TEXT_ONLY`, with names to choose from."""

NAMED_ANSWERS: Final = (
    "{It} {is} {the} {seg}.",
    "{It} {is} {the} {seg}.",
    "{It} {is} {the} {seg}.",
    "Here {is} {the} {seg}.",
    "{The} {seg}.",
)
"""The thing is named before it is shown; the first wording is the usual one."""

MASK_ONLY_ANSWER: Final = "{seg}."
LIST_ANSWERS: Final = ("I see {list}.", "I see {list}.", "The picture shows {list}.")
SEVERAL_ANSWER: Final = "Here are {list}."
ABSENT_FACT_ANSWERS: Final = (
    "Nothing in the picture does that {rej}.",
    "There is no such thing in the picture {rej}.",
)
