"""Names all benchmarks, with what they need.

lisa eval list
lisa eval list --published     # and what papers say of them
"""

from __future__ import annotations

import argparse
import json

HELP = "name all benchmarks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `lisa eval list`."""
    parser.add_argument("--published", action="store_true", help="published numbers as well")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(args: argparse.Namespace) -> int:
    """Prints the list."""
    from dataclasses import asdict

    from eval.benchmarks import FAMILIES
    from eval.report.published import read_published

    rows = read_published() if args.published else ()
    if args.json:
        listed = [
            {
                "name": one.name,
                "benchmarks": one.names,
                "usual": one.usual,
                "about": one.about,
                "data": one.layout,
            }
            for one in FAMILIES.values()
        ]
        told = {"published": [asdict(row) for row in rows]} if args.published else {}
        print(json.dumps({"benchmarks": listed, **told}, indent=1))
        return 0
    for family in FAMILIES.values():
        print(f"{family.name}: {family.about}")
        print(f"  {', '.join(family.names)}")
        print(f"  {f'--data DIR with {family.layout}' if family.layout else 'needs no --data'}")
    print("\nNAME alone or NAME:* asks the parts that are usually reported.")
    print("A path asks your own data; `lisa data --help` says which forms can be read.")
    if rows:
        _print_published()
    return 0


def _print_published() -> None:
    from eval.report.markdown import PUBLISHED_HEADING, published_table
    from eval.report.published import published_for, read_published

    print(f"\n{PUBLISHED_HEADING}")
    for benchmark in dict.fromkeys(row.benchmark for row in read_published()):
        print(f"\n{benchmark}\n\n{published_table(published_for(benchmark))}")
