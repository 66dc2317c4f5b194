"""Scores, tables and records of a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.report.header import Header
from eval.report.markdown import escape, long_report, short_table
from eval.report.published import published_for, read_published
from eval.report.report import read_run, write_report
from eval.report.run_facts import weights_id
from eval.report.scores import measure, score_groups
from eval.results import Result
from lisa.errors import ConfigError, DataError
from tests.unit.eval.report.reports import EVIL, HEADER, make, result, results


def test_groups_and_subsets_are_scored_by_themselves(tmp_path: Path):
    groups = score_groups(results(tmp_path)[:5], ("gres",))
    assert list(groups) == ["naming", "absent"]
    naming = groups["naming"]
    assert (naming.n, naming.find("masks", "gIoU").value) == (3, 0.5)
    assert naming.find("masks", "emission rate").value == pytest.approx(2 / 3)
    assert naming.subsets["held_out"].find("masks", "gIoU").value == 0.5
    assert naming.find("gres", "T-acc").value == pytest.approx(2 / 3)
    assert naming.find("masks", "no such figure").value is None
    assert groups["absent"].find("masks", "false-positive rate").value == 0.5
    assert groups["absent"].find("gres", "N-acc").value == 0.5


def test_what_a_family_needs_must_be_there():
    one = result("n/1", 10)
    with pytest.raises(DataError, match="There are no scores 'beauty'"):
        measure("beauty", [one])
    with pytest.raises(DataError, match="n/1 belongs to no group of pictures"):
        measure("groups", [one])
    bare = Result(**{**vars(one), "masks": None})
    with pytest.raises(DataError, match="masks of n/1 were not kept"):
        measure("instances", [bare])


def test_one_thing_of_a_group_of_pictures():
    answers = [
        Result(**{**vars(result(f"g/{n}", given, right)), "cohort": "party/7"})
        for n, (given, right) in enumerate([(10, 10), (None, 0), (5, 0)])
    ]
    figures = {one.name: one.value for one in measure("groups", answers).figures}
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["groups entirely right"] == 0


def test_the_short_table(tmp_path: Path):
    lines = short_table(make(results(tmp_path)[:5])).splitlines()
    assert lines[0] == (
        "| group | n | gIoU | cIoU | Pr@0.5 | points at | false positives | largest gIoU |"
    )
    assert lines[2].startswith("| naming | 3 | 0.500 (")
    assert lines[2].endswith("| 0.500 | 0.667 | 0.667 | – | 0.500 |")
    assert lines[3].startswith("| naming, held out | 1 | 0.500 | 0.500 | 1.000 | 1.000 | – | – |")
    assert lines[4].endswith("| 0.000 | 0.500 | – | 0.500 | – |")


def test_words_from_data_cannot_break_a_table(tmp_path: Path):
    text = long_report(make(results(tmp_path)))
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert escape("a|b\nc\x1b[2J\u202e") == "a\\|b c \\[2J "
    widths = {
        line.replace("\\|", "").count("|")
        for line in short_table(make(results(tmp_path))).splitlines()
    }
    assert len(widths) == 1


def test_the_three_files(tmp_path: Path):
    answers = [*results(tmp_path), result("s/\ud800", 3, text="half a pair \ud800")]
    report = make(answers)
    write_report(tmp_path / "out", report, answers, 10)
    record = json.loads((tmp_path / "out" / "report.json").read_text())
    assert record["asked"]["benchmark"] == "own:cups"
    assert record["groups"]["naming"]["figures"]["masks"][0]["name"] == "gIoU"
    assert record["damaged"][0]["place"] == "cups.jsonl:3"
    assert read_run(tmp_path / "out") == report.run
    assert read_run(tmp_path) is None
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="the report cannot be written to .*file"):
        write_report(tmp_path / "file", report, answers, 10)


def test_a_header_comes_back(tmp_path: Path):
    record = json.loads(json.dumps(HEADER.to_record()))
    assert Header.from_record(record, tmp_path) == HEADER
    with pytest.raises(DataError, match="header of version 7, and this program reads version 1"):
        Header.from_record({**record, "schema_version": 7}, tmp_path)
    del record["system"]
    with pytest.raises(DataError, match="header of another form: .*system"):
        Header.from_record(record, tmp_path)


def test_published_numbers_are_of_benchmarks_that_we_score():
    from eval.benchmarks import known_benchmarks

    rows = read_published()
    assert {row.benchmark for row in rows} <= set(known_benchmarks())
    for row in rows:
        assert all(0 < value <= 1 for value in row.figures.values()), row
        assert row.source
        assert row.standing in (
            "published",
            "reproduced by others",
            "second hand",
            "unverified",
        )
    lisa = [row for row in published_for("reasonseg:val") if row.system == "LISA-7B"]
    assert [dict(row.figures) for row in lisa] == [{"gIoU": 0.444, "cIoU": 0.46}]
    assert published_for("nano:all") == ()
    names = [(row.benchmark, row.system, row.source) for row in rows]
    assert len(set(names)) == len(names)


def test_published_numbers_stand_under_ours():
    report = make([result("n/1", 10)])
    with_rows = type(report)(**{**vars(report), "published": published_for("reasonseg:val")})
    text = long_report(with_rows)
    assert text.index("| naming | 1 |") < text.index("## Published, not measured here")
    assert "| LISA-7B ft | 0.529 | 0.540 | published |" in text
    assert "reproduced by others" in text


def test_which_weights_these_are(tmp_path: Path):
    assert weights_id(tmp_path) is None
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    first = weights_id(tmp_path)
    assert first is not None
    assert first.startswith("sha256 ")
    (tmp_path / "model.safetensors").write_bytes(b"Weights")
    assert weights_id(tmp_path) != first
    (tmp_path / "config.json").write_text("{}")
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    assert weights_id(snapshot) == "commit 0123abcd"


def test_an_answer_that_is_there_twice_is_no_report():
    with pytest.raises(DataError, match="n/1 is there twice"):
        make([result("n/1", 10), result("n/1", 9)])


def test_evil_names_are_kept_as_data(tmp_path: Path):
    assert EVIL in json.dumps(make(results(tmp_path)).to_record()).replace('\\"', '"')
