"""Tools that count, measure and change segments: exact on masks that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.tools.crop import CropTool
from chat.tools.edit import EditTool
from chat.tools.measure import MeasureTool
from chat.tools.reshaping import border, gap, grown, shrunk
from chat.tools.segment import SegmentTool
from chat.tools.words import is_kind, kinds_of, means, singulars
from lisa.data.categories import asked_categories
from lisa.data.knowledge import load_knowledge
from lisa.errors import DataError
from tests.unit.chat.tools.bench import SIDE, Answering, Table, box_segment, workbench


def _blobs(seed: int, height: int = 24, width: int = 31) -> np.ndarray:
    """A mask of a few random boxes with holes."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), bool)
    for _ in range(3):
        y, x = rng.integers(0, height), rng.integers(0, width)
        mask[y : y + rng.integers(1, 9), x : x + rng.integers(1, 9)] = True
    return mask & (rng.random(mask.shape) < 0.9)


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The distance of each pixel of one to each of the other, the slow way."""
    a, b = np.argwhere(first), np.argwhere(second)
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))


def test_area_is_the_pixels_and_their_share() -> None:
    table = Table()
    table.segment((0, 0, 16, 16), "cup")
    table.segment((0, 0, SIDE, SIDE))
    result = table.call(MeasureTool(), what="area", segments=["#1", "#2"])
    assert result.text == (
        "#1 cup: 6.2 % of the picture, 256 pixels; #2: 100.0 % of the picture, 4096 pixels"
    )
    assert result.data["areas"][0] == {"segment": "#1", "pixels": 256, "share": 0.0625}


def test_overlap_says_pixels_and_knows_iou() -> None:
    table = Table()
    table.segment((0, 0, 10, 10), "cup")
    table.segment((5, 0, 15, 10))
    result = table.call(MeasureTool(), what="overlap", segments=["#1", "#2"])
    assert result.text == "#1 cup and #2 share 50 pixels"
    assert result.data["iou"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((10, 0, 20, 10), 0),  # side by side
        ((5, 0, 20, 10), 0),  # overlapping
        ((10, 10, 20, 20), 0),  # corner to corner
        ((11, 0, 20, 10), 1),  # one column between
        ((0, 24, 10, 30), 14),
        ((13, 14, 20, 20), 5),  # 4 right, 5 down: 6.4 from middle to middle
    ],
)
def test_distance_counts_the_pixels_between(box, pixels) -> None:
    table = Table()
    table.segment((0, 0, 10, 10))
    table.segment(box)
    text = table.call(MeasureTool(), what="distance", segments=["#1", "#2"]).text
    assert text == f"#1 and #2 are {pixels} pixels apart"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_distance_is_exact_and_the_same_both_ways(one: int, other: int) -> None:
    first, second = _blobs(one), _blobs(other)
    if not first.any() or not second.any():
        return
    shortest = max(0.0, _distances(first, second).min() - 1)
    assert gap(first, second) == pytest.approx(shortest)
    assert gap(second, first) == pytest.approx(shortest)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 7))
def test_growing_takes_exactly_what_is_within_the_radius(seed: int, radius: int) -> None:
    mask = _blobs(seed)
    if not mask.any():
        assert not grown(mask, radius).any()
        return
    near = _distances(np.ones_like(mask), mask).min(axis=1).reshape(mask.shape) <= radius
    assert np.array_equal(grown(mask, radius), near)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_shrinking_is_growing_of_what_is_not_of_the_mask(seed: int, radius: int) -> None:
    mask = _blobs(seed)
    padded = np.pad(mask, radius)
    inner = ~grown(~padded, radius)[radius:-radius, radius:-radius]
    assert np.array_equal(shrunk(mask, radius), inner & mask)
    assert not (shrunk(mask, radius) & ~mask).any()


def test_the_border_of_a_square_is_its_rim() -> None:
    mask = np.zeros((7, 7), bool)
    mask[1:6, 1:6] = True
    assert border(mask).sum() == 16
    assert not border(np.ones((5, 5), bool)).any()


def test_masks_of_large_pictures_are_changed_and_measured_exactly() -> None:
    """The slow way of the tests above would take hours and a terabyte here."""
    mask = np.zeros((1500, 2000), bool)
    mask[100:1250, 50:950] = True
    other = np.zeros_like(mask)
    other[1450:, 1950:] = True
    assert shrunk(mask, 75).sum() == (1150 - 150) * (900 - 150)
    assert grown(mask, 50).sum() > mask.sum() + 50 * 2 * (1150 + 900)
    assert gap(mask, other) == pytest.approx(np.hypot(201, 1001) - 1)


@pytest.mark.parametrize("change", ["bigger", "smaller"])
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50), st.integers(0, 50), st.integers(3, 64), st.integers(3, 64))
def test_an_edit_stays_in_the_picture_and_changes_visibly(change, x, y, wide, high) -> None:
    table = Table()
    old = table.segment((x, y, min(SIDE, x + wide), min(SIDE, y + high)), "cup")
    before = old.segment.mask
    if before.all() or (change == "smaller" and not shrunk(before, 1).any()):
        with pytest.raises(DataError, match="cannot be made"):
            table.call(EditTool(), segment="#1", change="bigger" if before.all() else change)
        return
    result = table.call(EditTool(), segment="#1", change=change)
    made = result.segments[0]
    after = made.segment.mask
    assert after.shape == before.shape
    assert made.name == "#2"
    assert table.draft.segments[0].segment.mask is before
    if change == "bigger":
        assert (after >= before).all()
        assert after.sum() >= before.sum() / 0.85
    else:
        assert (after <= before).all()
        assert 0 < after.sum() < before.sum()
    assert result.text.startswith(f"#2 is #1 cup made {change}, ")


def test_what_fills_the_picture_or_is_a_line_cannot_be_edited_on() -> None:
    table = Table()
    table.segment((0, 0, SIDE, SIDE), "wall")
    table.segment((0, 0, SIDE, 1), "line")
    with pytest.raises(DataError, match="#1 wall fills the picture: it cannot be made bigger"):
        table.call(EditTool(), segment="#1", change="bigger")
    with pytest.raises(DataError, match="#2 line is too thin: it cannot be made smaller"):
        table.call(EditTool(), segment="#2", change="smaller")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 64), st.integers(1, 64))
def test_a_crop_holds_the_whole_segment_and_little_more(x, y, wide, high) -> None:
    table = Table()
    box = (x, y, min(SIDE, x + wide), min(SIDE, y + high))
    table.segment(box, "cup")
    result = table.call(CropTool(), segment="#1")
    assert result.text == "picture 2 shows #1 cup"
    left, top, right, bottom = result.data["box"]
    assert (left, top) <= (x, y)
    assert right >= box[2]
    assert bottom >= box[3]
    (made,) = result.pictures
    assert made.number == 2
    assert made.image.size == (right - left, bottom - top)
    assert table.picture.image.crop((left, top, right, bottom)).tobytes() == made.image.tobytes()


def test_everything_is_counted_that_is_found_or_known() -> None:
    table = Table()
    table.segment((4, 4, 16, 17), "apple")  # nearly the one that is found by name
    result = table.call(MeasureTool(), what="count")
    assert result.text == "3: #1 apple, #2 race car, #3 pear"
    assert [one.name for one in result.segments] == ["#2", "#3"]


@pytest.mark.parametrize(
    ("of", "count"),
    [
        ("fruits", 2), ("fruit", 2), ("apples", 1), ("cars", 1), ("vehicles", 1), ("things", 3),
        ("red things", 1), ("green fruits", 1), ("animals", 0), ("zebras", 0), ("food", 2),
        ("the objects", 3),
    ],
)  # fmt: skip
def test_counting_by_words(of: str, count: int) -> None:
    assert Table().call(MeasureTool(), what="count", of=of).data["count"] == count


def test_given_segments_are_counted_once_each() -> None:
    table = Table()
    table.segment((4, 4, 16, 16), "apple")
    table.segment((44, 6, 56, 18), "pear")
    given = ["#1", "#2", "#1"]
    assert table.call(MeasureTool(), what="count", segments=given).text == "2: #1 apple, #2 pear"
    only = table.call(MeasureTool(), what="count", segments=given, of="apples")
    assert only.text == "1: #1 apple"


def test_what_no_tag_names_is_asked_for_before_it_counts_as_none() -> None:
    script = {"Segment the spoon.": ("[SEG]", [box_segment((0, 30, 9, 40))])}
    table = Table(workbench(pipeline=Answering(script)))
    assert table.call(MeasureTool(), what="count", of="spoons").text == "1: #1 spoon"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"what": "area"}, "area needs a segment"),
        ({"what": "overlap", "segments": ["#1"]}, "1 segments were given"),
        ({"what": "distance", "segments": []}, "0 segments were given"),
        ({"what": "area", "of": "cup"}, "of is for count only"),
        ({"what": "distance", "segments": ["#1", "#2"]}, "give two segments of one picture"),
        ({"what": "volume"}, r"measure does not take these arguments \(what"),
    ],
)
def test_measures_say_what_they_lack(arguments: dict, message: str) -> None:
    table = Table()
    table.segment((0, 0, 9, 9))
    table.draft.add_picture(table.picture.image.rotate(90), "other.png")
    table.segment((0, 0, 9, 9), picture=2)
    with pytest.raises(DataError, match=message):
        table.call(MeasureTool(), **arguments)


def test_segment_by_words_names_what_was_asked_for() -> None:
    result = Table().call(SegmentTool(), text="the race car.")
    assert result.text == "1 masks: #1 race car"


def test_segment_by_a_question_is_named_by_the_answer() -> None:
    thing = box_segment((4, 4, 16, 16))
    script = {"What can be eaten?": ("The apple [SEG].", [thing])}
    table = Table(workbench(pipeline=Answering(script), tagger=None))
    result = table.call(SegmentTool(), text="What can be eaten?")
    assert [one.segment.box for one in result.segments] == [thing.box]


def test_segment_of_what_is_not_there_finds_no_mask() -> None:
    table = Table()
    assert table.call(SegmentTool(), text="the zebra").text == "0 masks"
    assert "Segment the zebra." not in table.bench.pipeline.asked  # type: ignore[attr-defined]


def test_segment_by_box_and_points_asks_the_segmenter() -> None:
    table = Table()
    for place in ({"box": [4, 4.5, 16, 16]}, {"points": [[8, 8], [10, 9]]}):
        result = table.call(SegmentTool(), **place)
        assert result.text[0] in "01"
    assert table.bench.encodings == 1


@pytest.mark.parametrize(
    ("words", "first"),
    [("apples", "apple"), ("berries", "berry"), ("boxes", "box"), ("knives", "knif"),
     ("people", "person"), ("glass", "glass"), ("race cars", "race car"), ("bus", "bu")],
)  # fmt: skip
def test_singulars_begin_with_the_likeliest(words: str, first: str) -> None:
    forms = singulars(words)
    assert forms[0] == first
    assert words in forms or len(forms) > 1


def test_categories_are_counted_as_the_model_asks_for_them() -> None:
    """What counts in the dialogues that weights learn from counts here too, and little more."""
    white, all_of_it = np.full((2, 2, 3), 255, np.uint8), np.ones((2, 2), bool)
    for category in asked_categories():
        if not category.plural:
            continue
        assert is_kind(category.plural)
        for item in load_knowledge().objects.values():
            counted = means(category.plural, kinds_of(item.label, white, all_of_it))
            if category.includes(item):
                assert counted, (category.plural, item.name)
            if counted:
                assert category.may_include(item), (category.plural, item.name)


def test_a_sea_lion_is_no_lion_but_a_race_car_is_a_car() -> None:
    white, all_of_it = np.full((4, 4, 3), 255, np.uint8), np.ones((4, 4), bool)
    assert means("cars", kinds_of("race car", white, all_of_it))
    assert means("white vehicles", kinds_of("race car", white, all_of_it))
    assert means("animals", kinds_of("sea lion", white, all_of_it))
    assert not means("lions", kinds_of("sea lion", white, all_of_it))
    assert means("dogs", kinds_of("sheep dog", white, all_of_it))
    assert kinds_of(None, white, all_of_it) == {"white"}
