"""`lisa serve` as its clients meet it: the official client of OpenAI, and plain HTTP, over sockets.

The model is scripted where nothing depends on its weights; see tests/unit/chat/server/scripted.py.
"""

from __future__ import annotations

import time

import openai
import pytest

from chat.safety.keys import ApiKey
from chat.server.settings import ServerSettings
from lisa.tool_calls import ToolCall, write_call
from tests.unit.chat.server.scripted import (
    KEY,
    ScriptedPipeline,
    asked,
    box_of,
    data_url,
    picture,
    pixels_of,
    place_of_shade,
    served,
    shade_of,
    shown,
)


@pytest.fixture(scope="module")
def server():
    with served() as running:
        yield running


# --- OpenAI's client ------------------------------------------------------------------------------


def test_the_official_client_gets_words_and_masks(server):
    completion = server.openai().chat.completions.create(**asked(77))
    message = completion.choices[0].message
    assert message.content == "The shade 77 [SEG]."
    assert completion.choices[0].finish_reason == "stop"
    (segment,) = message.segments
    assert (segment["name"], segment["what"], segment["status"]) == ("#1", "shade 77", "found")
    assert box_of(segment) == place_of_shade(77)
    mask = pixels_of(segment["mask"])
    assert mask.shape == (40, 48)
    assert mask.sum() == 100
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (2, 4, 6)


def test_the_official_client_streams(server):
    stream = server.openai().chat.completions.create(
        **asked(78), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    texts = [delta.content for delta in deltas if delta.content]
    assert texts == ["The ", "shade ", "78 ", "[SEG]."]
    assert deltas[0].role == "assistant"
    shown_segments = [one for delta in deltas for one in getattr(delta, "segments", None) or []]
    assert [box_of(one) for one in shown_segments] == [place_of_shade(78)]
    ends = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert ends == [None] * (len(ends) - 1) + ["stop"]
    assert chunks[-1].usage.total_tokens == 6
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_is_server_sent_events_and_ends_with_done(server):
    with server.client() as client:
        text = client.post("/v1/chat/completions", json=asked(stream=True)).text
    events = text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(event.startswith("data: {") for event in events[:-2])


def test_the_first_words_come_before_the_last():
    pipeline = ScriptedPipeline(lambda *_: " ".join("abcdefghij"), step_seconds=0.1)
    with served(pipeline) as server:
        begun, times = time.monotonic(), []
        for chunk in server.openai().chat.completions.create(**asked(), stream=True):
            if chunk.choices[0].delta.content:
                times.append(time.monotonic() - begun)
    assert times[-1] - times[0] > 0.6


def test_several_pictures_and_the_last_is_looked_at(server):
    content = [
        {"type": "image_url", "image_url": {"url": data_url(picture(shade))}}
        for shade in (10, 20, 30)
    ]
    messages = [{"role": "user", "content": [*content, {"type": "text", "text": "And this?"}]}]
    client = server.openai().chat.completions
    first = client.create(model="lisa-nano", messages=messages).choices[0].message
    assert first.content == "The shade 30 [SEG]."
    assert first.segments[0]["picture"] == 3
    # Showing a picture again looks at it again; it is no new one.
    messages += [first, shown(data_url(picture(20)), "Back to this.")]
    second = client.create(model="lisa-nano", messages=messages).choices[0].message
    assert second.content == "The shade 20 [SEG]."
    assert second.segments[0]["picture"] == 2


def measuring(image, conversation):
    """Answers the first question with a mask, and the second with the size of #1."""
    last = conversation.messages[-1]
    if last.role == "tool":
        return f"I measured: {last.text}"
    if "#1" in last.text:
        return write_call(ToolCall("measure", {"what": "area", "segments": ["#1"]}))
    return f"It is the shade {shade_of(image)} [SEG]."


def follow_up(server, *, sent_back):
    """Ask about #1 after an answer that is sent back as `sent_back` makes it."""
    client = server.openai().chat.completions
    request = asked(60)
    answer = client.create(**request).choices[0].message
    request["messages"] += [sent_back(answer), {"role": "user", "content": "How large is #1?"}]
    return client.create(**request).choices[0].message


@pytest.mark.parametrize(
    "sent_back",
    [
        lambda answer: {"role": "assistant", "content": answer.content},
        lambda answer: answer,
        lambda answer: answer.model_dump(),
    ],
    ids=["words only", "as an object", "as a dictionary"],
)
def test_a_follow_up_knows_what_was_found_and_encodes_nothing_again(sent_back):
    with served(ScriptedPipeline(measuring)) as server:
        answer = follow_up(server, sent_back=sent_back)
        encodings = server.bench.encodings
    assert answer.content.startswith("I measured: #1 shade 60: 5.2 % of the picture, 100 pixels")
    called, observed = answer.steps
    assert (called["type"], called["tool"]) == ("tool_call", "measure")
    assert called["arguments"] == {"what": "area", "segments": ["#1"]}
    assert observed["type"] == "observation"
    assert observed["call_id"] == called["call_id"]
    assert not observed["is_error"]
    assert encodings == 1


def test_a_forgotten_conversation_goes_on_from_the_segments_that_are_sent_back():
    with served(ScriptedPipeline(measuring), ServerSettings(kept_conversations=0)) as server:
        answer = follow_up(server, sent_back=lambda answer: answer)
        assert "#1 shade 60: 5.2 % of the picture, 100 pixels" in answer.content
        lost = follow_up(
            server, sent_back=lambda answer: {"role": "assistant", "content": answer.content}
        )
        assert "there is no segment #1" in lost.content


def test_steps_are_streamed_as_they_happen():
    def script(image, conversation):
        said = conversation.messages[-1]
        return said.text if said.role == "tool" else write_call(ToolCall("tag", {}))

    with served(ScriptedPipeline(script)) as server:
        stream = server.openai().chat.completions.create(**asked(5), stream=True)
        deltas = [chunk.choices[0].delta for chunk in stream]
    kinds = [step["type"] for delta in deltas for step in getattr(delta, "steps", None) or []]
    assert kinds == ["tool_call", "observation"]
    text = "".join(delta.content or "" for delta in deltas)
    assert text == "things: shade 5"
    order = ["text" if d.content else "step" for d in deltas if d.content or hasattr(d, "steps")]
    assert order.index("text") > max(n for n, one in enumerate(order) if one == "step")


def test_tools_of_a_request_restrict_ours():
    offered = []

    def script(image, conversation):
        offered.append([tool.name for tool in conversation.tools])
        return "Yes."

    def tool(name):
        return {"type": "function", "function": {"name": name, "parameters": {}}}

    with served(ScriptedPipeline(script)) as server:
        client = server.openai().chat.completions
        client.create(**asked())
        client.create(**asked(tools=[tool("measure"), tool("tag")]))
        client.create(**asked(tool_choice="none"))
        with pytest.raises(openai.BadRequestError, match="'get_weather' is none of them"):
            client.create(**asked(tools=[tool("get_weather")]))
    assert offered[0] == ["tag", "describe_region", "measure", "crop", "edit"]
    assert offered[1:] == [["tag", "measure"], []]


def test_a_token_limit_ends_the_answer(server):
    for name in ("max_tokens", "max_completion_tokens"):
        choice = server.openai().chat.completions.create(**asked(5, **{name: 2})).choices[0]
        assert choice.message.content == "The shade "
        assert choice.finish_reason == "length"


def test_what_has_no_effect_is_said(server):
    request = asked(temperature=0.7, seed=3, user="me")
    request["messages"].insert(0, {"role": "system", "content": "Be brief."})
    warnings = server.openai().chat.completions.create(**request).warnings
    assert len(warnings) == 2
    assert "system messages have no effect" in warnings[0]
    assert "temperature and top_p have no effect" in warnings[1]


def test_models_are_listed(server):
    client = server.openai()
    assert [model.id for model in client.models.list()] == ["lisa-nano"]
    assert client.models.retrieve("lisa-nano").id == "lisa-nano"
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-7'"):
        client.models.retrieve("gpt-7")


@pytest.mark.parametrize(
    ("more", "error", "sentence"),
    [
        ({"model": "gpt-7"}, openai.NotFoundError, "there is no model 'gpt-7'"),
        ({"messages": []}, openai.BadRequestError, "messages: List should have at least 1"),
        ({"n": 2}, openai.BadRequestError, "n: Input should be 1"),
        ({"logit_bias": {"1": 1}}, openai.BadRequestError, "logit_bias: is not supported here"),
        ({"stop": ["x"]}, openai.BadRequestError, "stop: is not supported here"),
        ({"temperature": 3}, openai.BadRequestError, "temperature: Input should be less"),
        ({"tool_choice": "required"}, openai.BadRequestError, "tool_choice: Input should be"),
        (
            {"response_format": {"type": "json_object"}},
            openai.BadRequestError,
            "response_format.type: Input should be 'text'",
        ),
        (
            {"messages": [{"role": "user", "content": "What is it?"}]},
            openai.BadRequestError,
            "the conversation shows no picture",
        ),
        (
            {"messages": [shown("data:image/png;base64,AAAA", "What?")]},
            openai.BadRequestError,
            "not a picture that can be read",
        ),
        (
            {"messages": [shown(data_url(picture(1)), " ")]},
            openai.BadRequestError,
            "the question is empty",
        ),
        (
            {"messages": [shown(data_url(picture(1)), "x" * 9000)]},
            openai.BadRequestError,
            "9,000 characters",
        ),
        (
            {"messages": [{"role": "tool", "tool_call_id": "1", "content": "x"}]},
            openai.BadRequestError,
            r"messages\[0\]: Input tag 'tool'",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_mistakes_become_the_clients_exceptions(server, more, error, sentence, stream):
    with pytest.raises(error, match=sentence) as caught:
        list(server.openai().chat.completions.create(**(asked(stream=stream) | more)))
    assert caught.value.body["message"]


def test_a_key_is_asked_for():
    settings = ServerSettings(key=ApiKey(KEY))
    with served(settings=settings) as server:
        assert server.openai().chat.completions.create(**asked(4)).choices
        with pytest.raises(openai.AuthenticationError, match="send the right key"):
            server.openai(api_key="another").chat.completions.create(**asked(4))


def test_a_mistake_of_ours_is_said_without_details():
    def script(image, conversation):
        raise RuntimeError("the folder /secret is full")

    with served(ScriptedPipeline(script)) as server:
        with pytest.raises(openai.InternalServerError) as caught:
            server.openai().chat.completions.create(**asked())
        assert "secret" not in str(caught.value)
        with pytest.raises(openai.InternalServerError):
            list(server.openai().chat.completions.create(**asked(stream=True)))
        assert server.client().get("/healthz").json() == {"status": "ok"}


def test_an_error_in_the_middle_of_a_stream_reaches_the_client():
    class Breaking(ScriptedPipeline):
        def _segments(self, text, image):
            raise RuntimeError("too late")

    with served(Breaking()) as server:
        stream = server.openai().chat.completions.create(**asked(stream=True))
        with pytest.raises(openai.APIError, match="the server made a mistake"):
            list(stream)


# --- Single tools ---------------------------------------------------------------------------------


def test_tools_are_plain_requests(server):
    url = data_url(picture(9))
    with server.client() as client:
        tags = client.post("/v1/tags", json={"image": url}).json()["tags"]
        by_words = client.post("/v1/segment", json={"image": url, "text": "the cup"}).json()
        boxes = [[1, 1, 9, 9], [20, 20, 30, 30], [1, 1, 9, 9]]
        in_boxes = client.post("/v1/segment", json={"image": url, "boxes": boxes}).json()
        at = client.post("/v1/segment", json={"image": url, "points": [[20, 20]]}).json()
    assert [tag["name"] for tag in tags] == ["shade 9"]
    assert [box_of(one) for one in by_words["segments"]] == [place_of_shade(9)]
    assert [box_of(one) for one in in_boxes["segments"]] == [tuple(box) for box in boxes]
    assert [one["name"] for one in in_boxes["segments"]] == ["#1", "#2", "#1"]
    assert [box_of(one) for one in at["segments"]] == [(15, 15, 25, 25)]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "give exactly one of text, points and boxes, not 0"),
        ({"text": "a", "points": [[1, 1]]}, "not 2"),
        ({"points": [[100, 1]]}, "outside the picture"),
        ({"boxes": [[5, 5, 5, 9]]}, "no area inside the picture"),
        ({"points": [["1", 1]]}, r"points\[0\]\[0\]: Input should be a valid number"),
    ],
)
def test_mistakes_of_single_tools_are_explained(server, body, sentence):
    import re

    with server.client() as client:
        answer = client.post("/v1/segment", json={"image": data_url(picture(1)), **body})
    assert answer.status_code == 400
    assert re.search(sentence, answer.json()["error"]["message"])


def test_relations_need_a_model(server):
    with server.client() as client:
        answer = client.post("/v1/relations", json={"image": data_url(picture(1))})
    assert answer.status_code == 404
    assert "no model that can relate" in answer.json()["error"]["message"]
