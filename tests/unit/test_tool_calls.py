from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lisa.errors import DataError
from lisa.tokens import TOOL_CALL_START
from lisa.tool_calls import ToolCall, may_become_call, read_call, write_call

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.text(max_size=20), st.dictionaries(st.text(max_size=9), VALUES, max_size=3))
def test_a_call_that_was_written_can_be_read(name, arguments) -> None:
    call = ToolCall(name, arguments)
    written = write_call(call)
    assert all(may_become_call(written[:end]) for end in range(len(written) + 1))
    if TOOL_CALL_START[:3] not in str(arguments) + name:
        assert read_call(f"\n {written} and more words") == call


@given(st.text())
def test_any_text_is_read_or_refused(text) -> None:
    assert read_call(text) is None or text.lstrip().startswith(TOOL_CALL_START)
    try:
        read = read_call(TOOL_CALL_START + text)
    except DataError:
        read = ToolCall("refused", {})
    assert read is not None


@pytest.mark.parametrize("text", ["Yes.", "<tool", "It is <tool_call>"])
def test_what_is_no_call(text) -> None:
    assert read_call(text) is None
    assert may_become_call(text) == (text == "<tool")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{", "no JSON"),
        ("[1]", "not of the form"),
        ('{"name": 3}', "not of the form"),
        ('{"name": "tag", "arguments": []}', "not of the form"),
        ("[" * 100_000, "characters"),
        ("[" * 3_000, "no JSON"),
    ],
)
def test_a_bad_call_says_what_is_wrong(body, reason) -> None:
    with pytest.raises(DataError, match=reason):
        read_call(f"{TOOL_CALL_START}{body}")
