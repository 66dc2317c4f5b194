import json

from chat.state import SessionSegment
from chat.steps import Answered, Observed, SegmentAdded, TextAdded, ToolCalled
from chat.web.colours import paint
from chat.web.view import Urls, pieces, relations_of, stage_view, steps_view, turn_view
from lisa.tokens import REJECT_TOKEN, SEG_TOKEN
from tests.chat_script import BOX, box_segment, plain_picture
from tests.web_page import scripted_sessions


def segment(name: str, what: str | None = "cup", status: str = "found") -> SessionSegment:
    drawn = box_segment(plain_picture(), BOX if status == "found" else (0, 0, 0, 0))
    object.__setattr__(drawn, "status", status)
    return SessionSegment(name, what, 1, drawn, "answer")


def test_segments_stand_where_the_tokens_were():
    text = f"The cup {SEG_TOKEN} is here, a zebra {REJECT_TOKEN} is not."
    cut = pieces(text, [segment("#1"), segment("", "zebra", "absent")])
    assert [one.get("text", one.get("chip")) for one in cut][0::2] == [
        "The cup ",
        " is here, a zebra ",
        " is not.",
    ]
    assert cut[1]["chip"]["name"] == "#1"
    assert cut[3]["chip"]["label"] == "not in the picture"


def test_segment_that_has_not_come_yet_is_awaited():
    assert pieces(f"The cup {SEG_TOKEN}", []) == [{"text": "The cup "}, {"chip": None}]


def test_colours_go_by_the_name_and_come_again():
    assert paint("#1") == paint("#8") != paint("#2")
    assert paint("").colour not in {paint(f"#{number}").colour for number in range(1, 8)}


def test_turn_that_runs_shows_the_tool_at_work():
    called = ToolCalled("call_1", "measure", {"what": "area", "segments": ["#1", "#2"]})
    view = steps_view("How large?", [called, TextAdded("It")])
    assert view["running"] and view["steps"][0]["running"]
    assert view["steps"][0]["words"] == "area, #1 and #2"
    assert json.loads(view["steps"][0]["arguments"]) == dict(called.arguments)
    done = [called, Observed("call_1", "4 pixels", {}), Answered("It is small.", (), "steps")]
    view = steps_view("How large?", done)
    assert not view["running"] and not view["steps"][0]["running"]
    assert "all the steps" in view["note"]


def test_relations_are_read_with_suspicion():
    good = {"subject": "#1", "predicate": "left of", "object": "#2"}
    elsewhere = {**good, "object": "#9"}
    odd = [{"relations": 7}, {"relations": [7, {"subject": "#1"}, {**good, "predicate": 7}]}, {}]
    steps = [Observed("1", "", data) for data in [*odd, {"relations": [good, good, elsewhere]}]]
    failed = Observed("2", "", {"relations": [{**good, "predicate": "on"}]}, is_error=True)
    assert relations_of([steps, [failed]], {"#1", "#2"}) == [good]


def test_stage_shows_what_comes_before_the_turn_has_ended():
    session = scripted_sessions().new()
    picture = session.add_picture(plain_picture(), "grey")
    urls = Urls()
    coming = [SegmentAdded(segment("#1")), SegmentAdded(segment("", None, "absent"))]
    view = stage_view(session.state, coming, urls)
    assert [one["name"] for one in view["segments"]] == ["#1"]
    assert view["segments"][0]["mask"].startswith("data:image/png;base64,")
    assert view["picture"] == {"number": 1, "name": "grey", "width": 80, "height": 60}
    assert urls.picture(picture) is urls.picture(picture)
    json.dumps(view)


def test_whole_turn_is_json():
    session = scripted_sessions().new()
    session.add_picture(plain_picture(size=(160, 120)))
    session.ask("What stands here?")
    view = turn_view(session.ask("How do they relate?"))
    assert view["steps"][0]["segments"][0]["label"] == "#1 cup"
    json.dumps(view)
