"""How people ask for what tools do, in wordings of training and in held-out ones.

Fields: `{it}` a reference such as "#2", "the cup" or "it"; `{first}` and `{second}` two of them;
`{where}` a relation as a question puts it; `{a}` "a cup"; `{things}` "fruits".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lisa.data.phrasings import Phrasings
from lisa.data.scenes.relations import Predicate

TAGS: Final = Phrasings(
    train=(
        "What is in the picture?",
        "What can you see?",
        "Which things are there?",
        "Tag this picture.",
        "List what the image shows.",
        "What do you see here?",
        "Name the things in this picture.",
        "Tell me what is in the image.",
        "what's in it?",
        "Give me tags for this image.",
    ),
    held_out=(
        "Which objects does this photo show?",
        "Tell me what you can see here.",
        "Can you list the things in the picture?",
    ),
)

PRESENCE: Final = Phrasings(
    train=(
        "Is there {a}?",
        "Is there {a} in the picture?",
        "Do you see {a}?",
        "Can you see {a} here?",
        "Does the picture show {a}?",
        "Is {a} in the image?",
    ),
    held_out=("Is there {a} anywhere?", "Could there be {a} in this photo?"),
)

CAPTION: Final = Phrasings(
    train=(
        "Describe the picture.",
        "Write a caption.",
        "Describe this image in one sentence.",
        "Give me a caption for the picture.",
        "Sum up what happens here.",
        "Say in a sentence what this shows.",
    ),
    held_out=("Caption this photo.", "Please describe the image for me."),
)

MASKS: Final = Phrasings(
    train=(
        "Segment everything.",
        "Outline every object.",
        "Give me masks for all things.",
        "Find all segments.",
        "Cut the picture into its parts.",
        "Mask every single thing here.",
    ),
    held_out=("Draw the outlines of everything.", "Segment all of it."),
)

RELATED: Final = Phrasings(
    train=(
        "What is {where} {it}?",
        "Which thing is {where} {it}?",
        "Tell me what is {where} {it}.",
        "Is anything {where} {it}?",
        "What do you see {where} {it}?",
        "What lies {where} {it}?",
    ),
    held_out=("Can you tell me what is {where} {it}?", "Which object lies {where} {it}?"),
)

WHERE: Final[Mapping[Predicate, tuple[str, ...]]] = {
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over"),
    "below": ("below", "under", "beneath"),
    "in front of": ("in front of",),
    "behind": ("behind",),
    "touching": ("touching", "in contact with"),
    "inside": ("inside", "within"),
}
"""Each relation as a question puts it."""

TOUCHING: Final = Phrasings(
    train=("What touches {it}?", "Which things touch {it}?", "Does anything touch {it}?"),
    held_out=("What is it that touches {it}?",),
)

BETWEEN: Final = Phrasings(
    train=(
        "How do {first} and {second} relate?",
        "Where is {first} from {second}?",
        "What is the relation of {first} and {second}?",
        "How is {first} placed next to {second}?",
    ),
    held_out=("How does {first} stand to {second}?",),
)

ALL_RELATIONS: Final = Phrasings(
    train=(
        "How do the things relate?",
        "What are the relations in this picture?",
        "How is everything arranged?",
        "Who is where?",
    ),
    held_out=("How are the objects placed relative to each other?",),
)

REGION: Final = Phrasings(
    train=(
        "What is {it}?",
        "Describe {it}.",
        "Tell me about {it}.",
        "What does {it} show?",
        "What colour is {it}?",
        "Where is {it} in the picture, and what is it?",
    ),
    held_out=("Tell me more about {it}.", "What can you say about {it}?"),
)

AREA: Final = Phrasings(
    train=(
        "How big is {it}?",
        "How large is {it}?",
        "What share of the picture does {it} cover?",
        "What is the area of {it}?",
        "How many pixels does {it} have?",
        "What size is {it}?",
    ),
    held_out=("How much of the image does {it} take up?", "Measure the area of {it}."),
)

OVERLAP: Final = Phrasings(
    train=(
        "Do {first} and {second} overlap?",
        "How much do {first} and {second} overlap?",
        "Does {first} cover a part of {second}?",
    ),
    held_out=("Is there any overlap of {first} and {second}?",),
)

DISTANCE: Final = Phrasings(
    train=(
        "How far is {first} from {second}?",
        "What is the distance between {first} and {second}?",
        "How far apart are {first} and {second}?",
    ),
    held_out=("Measure the distance from {first} to {second}.",),
)

COUNT: Final = Phrasings(
    train=(
        "How many things are there?",
        "How many objects are in the picture?",
        "Count the things.",
        "Count everything in the image.",
    ),
    held_out=("What is the number of objects here?",),
)

COUNT_OF: Final = Phrasings(
    train=(
        "How many {things} are there?",
        "Count the {things}.",
        "How many {things} do you see?",
        "How many {things} are in the picture?",
    ),
    held_out=("What is the number of {things} here?",),
)

CROP: Final = Phrasings(
    train=(
        "Zoom in on {it}.",
        "Crop the picture to {it}.",
        "Cut out {it}.",
        "Show me {it} up close.",
    ),
    held_out=("Give me a close-up of {it}.",),
)

BIGGER: Final = Phrasings(
    train=(
        "Make {it} bigger.",
        "Grow {it} a little.",
        "Make the mask of {it} larger.",
        "Widen {it}.",
    ),
    held_out=("Please enlarge {it}.",),
)

SMALLER: Final = Phrasings(
    train=(
        "Make {it} smaller.",
        "Shrink {it} a little.",
        "Make the mask of {it} tighter.",
        "Reduce {it}.",
    ),
    held_out=("Please make {it} a bit smaller.",),
)

PRONOUNS: Final = ("it", "it", "this", "that", "that one", "this one", "this thing")
"""What people say of what was just talked about."""

OTHER: Final = ("the other one", "the other", "the other thing")
"""What people say of the second of two."""
