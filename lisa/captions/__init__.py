"""What is in a picture by name, and one sentence about it: in the words of a LISA model."""

from lisa.captions.things import NamedThing, find_things, name_segments, object_names
from lisa.captions.writer import PictureCaption, caption_picture, write_sentence

__all__ = [
    "NamedThing",
    "PictureCaption",
    "caption_picture",
    "find_things",
    "name_segments",
    "object_names",
    "write_sentence",
]
