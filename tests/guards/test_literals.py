"""What must have one owner is spelt in one file."""

from __future__ import annotations

from collections import defaultdict

from tests.guards.repository import constants, name_of, python_files

# First mean and first deviation of SAM (in [0, 255]), ImageNet and CLIP (in [0, 1]).
NORMALISATION = (123.675, 58.395, 0.485, 0.229, 0.48145466, 0.26862954)
SEG = "[" + "SEG]"


def test_normalisation_is_written_once():
    owners = defaultdict(set)
    for path in python_files():
        for constant in constants(path):
            if constant.value in NORMALISATION:
                owners[constant.value].add(name_of(path))
    shared = {value: sorted(paths) for value, paths in owners.items() if len(paths) > 1}
    assert not shared


def test_only_tokens_spells_the_mask_token():
    found = [
        f"{name_of(path)}:{constant.lineno}"
        for path in python_files()
        if name_of(path) != "lisa/tokens.py"
        for constant in constants(path)
        if isinstance(constant.value, str) and SEG in constant.value
    ]
    assert not found, "use lisa.tokens.SEG_TOKEN"
