from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from lisa import cli
from lisa.errors import ConfigError


def use_command(monkeypatch: pytest.MonkeyPatch, run) -> None:
    """Makes `lisa try` a command whose whole body is `run`."""
    module = SimpleNamespace(HELP="tries", __doc__="Tries.", add_arguments=lambda _: None, run=run)
    entry = SimpleNamespace(name="try", load=lambda: module)
    monkeypatch.setattr(cli, "entry_points", lambda group: [entry])


def raising(error: BaseException):
    def run(args: object) -> int:
        raise error

    return run


def test_exit_code_is_the_commands(monkeypatch):
    use_command(monkeypatch, lambda args: 7)
    assert cli.main(["try"]) == 7


def test_users_mistake_is_one_sentence(monkeypatch, capsys):
    use_command(monkeypatch, raising(ConfigError("got a, wanted b: do c.")))
    assert cli.main(["try"]) == 2
    output = capsys.readouterr()
    assert output.err == "lisa: error: got a, wanted b: do c.\n"
    assert output.out == ""


@pytest.mark.parametrize("arguments", [["--debug", "try"], ["try", "--debug"]])
def test_debug_shows_where(monkeypatch, arguments: list[str]):
    use_command(monkeypatch, raising(ConfigError("wrong.")))
    with pytest.raises(ConfigError):
        cli.main(arguments)


def test_our_mistake_stays_a_traceback(monkeypatch):
    use_command(monkeypatch, raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["try"])


def test_ctrl_c(monkeypatch, capsys):
    use_command(monkeypatch, raising(KeyboardInterrupt()))
    assert cli.main(["try"]) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["segment", "--help"], 0),
        (["convert", "--help"], 0),
        (["doctor", "--help"], 0),
        ([], 2),
        (["nonsense"], 2),
        (["segment"], 2),
        (["segment", "a.jpg"], 2),
        (["segment", "a.jpg", "b", "--nonsense"], 2),
        (["segment", "a.jpg", "b", "--max-new-tokens", "0"], 2),
        (["segment", "a.jpg", "b", "--max-new-tokens", "-3"], 2),
        (["segment", "a.jpg", "b", "--max-new-tokens", "many"], 2),
        (["segment", "a.jpg", "b", "--load-in-4bit", "--load-in-8bit"], 2),
        (["convert", "a"], 2),
        (["doctor", "extra"], 2),
    ],
)
def test_exit_codes(arguments: list[str], code: int, capsys):
    assert cli.main(arguments) == code
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    assert (output.out if code == 0 or not arguments else output.err).strip()


def test_help_lists_every_command(capsys):
    cli.main(["--help"])
    listed = capsys.readouterr().out
    assert all(f"\n    {name}" in listed for name in ("segment", "convert", "doctor"))


def test_only_the_command_meant_is_loaded(monkeypatch, capsys):
    def broken():
        raise ImportError("another package's command is broken")

    use_command(monkeypatch, lambda args: 0)
    good = cli.entry_points(group=cli.COMMAND_GROUP)[0]
    bad = SimpleNamespace(name="bad", load=broken)
    monkeypatch.setattr(cli, "entry_points", lambda group: [good, bad])
    assert cli.main(["try"]) == 0


@pytest.mark.parametrize("arguments", [["--help"], ["segment", "--help"], ["--version"]])
def test_help_is_quick_and_loads_no_torch(arguments: list[str]):
    code = (
        "import sys; from lisa.cli import main; main(sys.argv[1:]);"
        "heavy = {'torch', 'transformers', 'numpy', 'PIL'} & set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
    assert min(seconds) < 1.0


def test_a_reader_that_leaves_gets_no_traceback():
    command = [sys.executable, "-m", "lisa.cli", "segment", "--help"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


_ENDING = """
import atexit, sys
from lisa import cli

class Kept:
    def __del__(self):
        print("taken apart")

def main():
    atexit.register(print, "registered")
    sys.modules["kept"] = Kept()
    print("said")
    {last}

cli.main = main
cli.run()
"""


@pytest.mark.parametrize(("last", "code"), [("return 0", 0), ("return 130", 130), ("1 / 0", 1)])
def test_a_process_ends_at_once_but_completely(last: str, code: int):
    # Python itself takes apart what is left, and "taken apart" would be printed.
    source = _ENDING.format(last=last)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode == code
    assert done.stdout.splitlines() == ["said", "registered"]
    assert ("ZeroDivisionError" in done.stderr) == (code == 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_an_answer_that_cannot_be_printed_is_an_error():
    source = _ENDING.format(last="return 0")
    command = [sys.executable, "-c", source]
    waiting = {**os.environ, "PYTHONUNBUFFERED": ""}  # what is printed is written at the end
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=waiting)
    assert done.returncode == cli.EXIT_USER_ERROR
    assert done.stderr == (
        "lisa: error: the answer cannot be printed: [Errno 28] No space left on device\n"
    )
