"""`lisa chat` without a model: lines in, text and files out."""

from __future__ import annotations

import base64
import io
import os
import re
import signal
import threading

import numpy as np
import pytest
from PIL import Image

from chat.limits import AgentLimits, SessionLimits
from chat.session import ChatSession
from chat.terminal.answer_files import AnswerFiles
from chat.terminal.conversation import TerminalConversation, TerminalSettings
from chat.terminal.graphics import choose_drawing, draw
from lisa.errors import ConfigError
from tests.chat_script import (
    FindTool,
    MakeTool,
    ScriptedWorkbench,
    call,
    plain_picture,
    scripted_session,
)


class TagTool(FindTool):
    """Stands for the tagger."""

    name = "tag"
    arguments = MakeTool.arguments.__base__

    def run(self, arguments, scene):
        from chat.tools.contract import ToolResult

        return ToolResult("things: cup; \x1b[31mred", {})


class Terminal:
    """A conversation and everything that it wrote."""

    def __init__(self, folder, script, **settings):
        self.text = ""
        self.session = scripted_session(script, tools=(FindTool(), MakeTool(), TagTool()))
        self.session.add_picture(plain_picture(), "cup\x1b]0;title\x07.png")
        self.talk = TerminalConversation(
            self.session,
            AnswerFiles(folder),
            self._write,
            TerminalSettings(**settings),
            lambda path: ChatSession.load(path, ScriptedWorkbench(), tools=()),
        )

    def _write(self, text):
        self.text += text

    def says(self, line):
        """What one line leads to."""
        self.text = ""
        assert self.talk.take(line)
        return self.text


def test_an_answer_and_its_files(tmp_path):
    terminal = Terminal(tmp_path, ["A cup [SEG] and no dog [REJ]."])
    assert terminal.says("What?").splitlines() == [
        "A cup [SEG] and no dog [REJ].",
        "  #1 cup: 8.3 % of picture 1, mask_1.png",
        "  absent: dog",
    ]
    mask = np.asarray(Image.open(tmp_path / "mask_1.png"))
    assert np.array_equal(mask, terminal.session.segments[0].segment.mask)
    assert Image.open(tmp_path / "overlay_1.png").size == (80, 60)


def test_tools_are_shown_as_they_work(tmp_path):
    script = [call("make", what="hat", box=[1, 1, 9, 9]), "The hat is #1."]
    text = Terminal(tmp_path, script).says("?")
    assert text.splitlines() == [
        "> make(what=hat, box=[1, 1, 9, 9])",
        "  #1 hat is made",
        "The hat is #1.",
    ]
    assert (tmp_path / "mask_1.png").exists()


def test_nothing_that_is_said_steers_the_terminal(tmp_path):
    evil = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\r\x9b31m"
    script = [f"A cup{evil} [SEG]{evil}", call("find", thing=evil), evil]
    terminal = Terminal(tmp_path, script)
    terminal.text = ""
    terminal.talk.greet()
    said = terminal.text + terminal.says("?") + terminal.says(evil) + terminal.says("/tags")
    said += terminal.says("/undo") + terminal.says("/segments") + terminal.says(f"/{evil}")
    assert "\N{REPLACEMENT CHARACTER}" in said
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", said)


def test_commands(tmp_path):
    terminal = Terminal(tmp_path, ["A cup [SEG]."])
    assert "Nothing has a name" in terminal.says("/segments")
    assert "nothing to take back" in terminal.says("/undo")
    assert terminal.says("/tags") == "things: cup; \N{REPLACEMENT CHARACTER}[31mred\n"
    assert "#1: " in terminal.says("/point 20 20")
    assert "#2: " in terminal.says("/point 40, 30, 60, 50")
    assert "takes two numbers" in terminal.says("/point here")
    assert "outside picture 1" in terminal.says("/point 900 900")
    assert "no command /nonsense" in terminal.says("/nonsense")
    assert "no tool" in terminal.says("/relate")
    assert "/undo" in terminal.says("/help")
    assert "no picture 4" in terminal.says("/picture 4")
    assert "number of a picture" in terminal.says("/picture x")
    assert "there is no file" in terminal.says("/open nowhere.png")
    assert terminal.says("   ") == ""
    terminal.says("?")
    assert "#3 cup" in terminal.says("/segments")
    assert terminal.says("/undo") == "Taken back: ?\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == []
    assert not terminal.talk.take("/quit")


def test_pictures_are_opened_and_chosen(tmp_path):
    plain_picture(9).save(tmp_path / "other.png")
    terminal = Terminal(tmp_path, [])
    assert terminal.says(f"/open {tmp_path / 'other.png'}") == "Picture 2: other.png\n"
    assert terminal.session.picture == 2
    assert terminal.says("/picture 1").startswith("Picture 1: cup")


def test_save_and_open(tmp_path):
    terminal = Terminal(tmp_path, ["A cup [SEG]."])
    terminal.says("What <b>?")
    said = terminal.says("/save")
    assert "saved; report.html shows it" in said
    report = (tmp_path / "saved" / "report.html").read_text()
    assert "What &lt;b&gt;?" in report
    fresh = Terminal(tmp_path, [])
    assert not (tmp_path / "mask_1.png").exists()
    assert "after 1 questions" in fresh.says(f"/open {tmp_path / 'saved'}")
    assert "#1 cup" in fresh.says("/segments")
    assert (tmp_path / "mask_1.png").exists()


def test_a_failed_answer_does_not_end_the_conversation(tmp_path):
    terminal = Terminal(tmp_path, ["Fine."])
    terminal.session.limits = SessionLimits(question_characters=5, agent=AgentLimits())
    assert terminal.says("much too long").startswith("lisa: the question has 13 characters")
    assert terminal.says("ok?") == "Fine.\n"


def test_endings_are_told(tmp_path):
    terminal = Terminal(tmp_path, ["one two three four"])
    terminal.session.limits = SessionLimits(agent=AgentLimits(max_new_tokens=2))
    assert "cut off" in terminal.says("?")


def test_ctrl_c_stops_the_answer_and_not_the_program(tmp_path):
    terminal = Terminal(tmp_path, ["word " * 2000, "Still here."])
    terminal.session._speaker.pause = 0.002
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    before = signal.getsignal(signal.SIGINT)
    said = terminal.says("?")
    timer.join()
    assert said.endswith("\nStopped.\n")
    assert terminal.session.turns == ()
    assert signal.getsignal(signal.SIGINT) is before
    assert terminal.says("?") == "Still here.\n"


def test_a_folder_that_cannot_be_written(tmp_path):
    terminal = Terminal(tmp_path, ["A cup [SEG]."])
    terminal.talk._files.folder = tmp_path / "gone"
    assert "masks cannot be written" in terminal.says("?")
    with pytest.raises(ConfigError, match="masks cannot be written"):
        AnswerFiles(tmp_path / "gone")


# --- Pictures between the lines -------------------------------------------------------------------

TRUE = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


@pytest.mark.parametrize(
    ("environment", "drawing"),
    [
        ({}, "none"),
        ({"TERM": "dumb"}, "none"),
        ({"TERM": "xterm"}, "none"),
        (TRUE, "blocks"),
        (TRUE | {"NO_COLOR": "1"}, "none"),
        ({"TERM": "xterm-kitty"}, "kitty"),
        (TRUE | {"KITTY_WINDOW_ID": "1"}, "kitty"),
        (TRUE | {"KITTY_WINDOW_ID": "1", "TMUX": "/tmp/x"}, "blocks"),
        (TRUE | {"TERM_PROGRAM": "WezTerm"}, "kitty"),
        (TRUE | {"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        (TRUE | {"LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "screen-256color", "LC_TERMINAL": "iTerm2"}, "none"),
    ],
)
def test_drawing_follows_the_environment(environment, drawing):
    assert choose_drawing(environment, is_terminal=True) == drawing
    assert choose_drawing(environment, is_terminal=False) == "none"


def gradient() -> Image.Image:
    """A picture in which every place is different."""
    rows, columns = np.mgrid[0:40, 0:70]
    return Image.fromarray(np.stack([rows * 6, columns * 3, rows + columns], -1).astype(np.uint8))


def test_kitty_gets_a_png_in_chunks():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8))
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", draw(image, "kitty"))
    assert [head.rpartition("m=")[2] for head, _ in chunks] == ["1"] * (len(chunks) - 1) + ["0"]
    assert max(len(data) for _, data in chunks) <= 4096
    sent = Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in chunks))))
    assert np.array_equal(np.asarray(sent), np.asarray(image))


def test_iterm2_gets_a_png():
    (data,) = re.findall(r"\x1b]1337;File=inline=1;[^:]*:(.*)\x07\n", draw(gradient(), "iterm2"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), gradient())


def test_blocks_show_two_pixels_a_letter():
    lines = draw(gradient(), "blocks", 70).splitlines()
    assert len(lines) == 20
    cells = re.findall(r"38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m", lines[3])
    assert [int(part) for part in cells[5]] == [36, 15, 11, 42, 15, 12]
    assert all(line.endswith("\x1b[0m") for line in lines)
    assert len(draw(gradient(), "blocks", 35).splitlines()) == 10


def read_sixel(text: str) -> np.ndarray:
    """Paint what sixel text says."""
    width, height = map(int, re.match(r'\x1bPq"1;1;(\d+);(\d+)', text).groups())
    palette = {
        int(n): tuple(map(int, rgb.split(";"))) for n, rgb in re.findall(r"#(\d+);2;([\d;]+)", text)
    }
    body = re.sub(r"#\d+;2;[\d;]+", "", text.partition(f"{width};{height}")[2]).removesuffix(
        "\x1b\\\n"
    )
    painted = np.full((height + 6, width, 3), -1)
    for number, band in enumerate(body.split("-")):
        for layer in band.split("$"):
            colour, runs = re.match(r"#(\d+)(.*)", layer, re.DOTALL).groups()
            column = 0
            for count, letter in re.findall(r"(?:!(\d+))?([?-~])", runs):
                for _ in range(int(count or 1)):
                    for row in range(6):
                        if (ord(letter) - 63) >> row & 1:
                            painted[6 * number + row, column] = palette[int(colour)]
                    column += 1
            assert column == width
    assert (painted[height:] == -1).all()
    return painted[:height]


def test_sixel_paints_every_pixel():
    painted = read_sixel(draw(gradient(), "sixel"))
    assert (painted >= 0).all()
    assert np.abs(painted * 2.55 - np.asarray(gradient())).mean() < 12


def test_nothing_is_drawn_where_nothing_can_be(tmp_path):
    assert draw(gradient(), "none") == ""
    terminal = Terminal(tmp_path, ["A cup [SEG]."], drawing="blocks", columns=20)
    assert terminal.says("?").count("\N{UPPER HALF BLOCK}") == 20 * 8
