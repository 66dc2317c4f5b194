"""Prints a report, and says where its files are."""

from __future__ import annotations

import json
from pathlib import Path

from eval.report.markdown import PUBLISHED_HEADING, escape, short_table
from eval.report.report import JSON, MARKDOWN, PAGE, Report


def show(report: Report, folder: Path | None, *, as_json: bool) -> None:
    """Print a report.

    Args:
        report: What to print.
        folder: Where its files are; None if it has none.
        as_json: The whole report as a line of JSON instead of the short table.
    """
    if as_json:
        print(json.dumps(report.to_record()))
        return
    header = report.header
    protocol = header.protocol.replace("_", "-")
    print(f"{escape(header.benchmark)}, {escape(header.system)}, protocol {protocol}\n")
    print(short_table(report))
    if report.published:
        where = MARKDOWN if folder is not None else "`lisa eval list --published`"
        print(f"\n{PUBLISHED_HEADING}: {len(report.published)} rows in {where}")
    for fault in report.damaged:
        print(f"left out: {escape(str(fault))}")
    if report.unanswered:
        print(f"{len(report.unanswered)} questions have no answer and count as no mask.")
    if folder is not None:
        print(f"\nWrote {JSON}, {MARKDOWN} and {PAGE} to {folder}")
