"""Runs speed measurements, found through the entry-point group `lisa.benchmarks`.

    python -m eval.speed list
    python -m eval.speed segment
    python -m eval.speed all --json --plot speed.png

Packages add theirs in their own entry points, so this file knows none of them; `lisa.measurement`
says what they return.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from lisa.errors import ConfigError, LisaError
from lisa.measurement import Measurement

BENCHMARK_GROUP = "lisa.benchmarks"

Results = dict[str, dict[str, Measurement]]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the measurements that the arguments name.

    Returns:
        The exit code: 0, or 2 for a mistake of the user's.
    """
    parser = argparse.ArgumentParser(
        prog="python -m eval.speed", description="Measure how fast things are on this machine."
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="list, all, or names")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios into a picture")
    args = parser.parse_args(argv)
    try:
        known = {entry.name: entry for entry in entry_points(group=BENCHMARK_GROUP)}
        if args.names == ["list"]:
            print(json.dumps(sorted(known)) if args.json else "\n".join(sorted(known)))
            return 0
        results = _measure(args.names, known, quiet=args.json)
        if args.plot is not None:
            from eval.timings.plot import draw_ratios

            draw_ratios(results, args.plot)
    except LisaError as error:
        print(f"eval.speed: error: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(to_json(results)))
    return 0


def to_json(results: Results) -> dict[str, dict[str, dict[str, float | str | None]]]:
    """Return the results as JSON has them: an object a benchmark, a key a measurement."""
    return {
        name: {what: asdict(one) for what, one in found.items()} for name, found in results.items()
    }


def table(found: dict[str, Measurement]) -> str:
    """Write the measurements of one benchmark as a table."""
    rows = [("", "median", "spread", "unit", "ratio")]
    for what, one in found.items():
        ratio = "" if one.ratio is None else f"{one.ratio:.2f} x"
        rows.append((what, f"{one.median:.4g}", f"{one.spread:.2g}", one.unit, ratio))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for what, median, spread, unit, ratio in rows:
        lines.append(
            f"  {what:<{widths[0]}}  {median:>{widths[1]}}  {spread:>{widths[2]}}  "
            f"{unit:<{widths[3]}}  {ratio:>{widths[4]}}".rstrip()
        )
    return "\n".join(lines)


def _measure(names: Sequence[str], known: dict[str, EntryPoint], *, quiet: bool) -> Results:
    wanted = sorted(known) if list(names) == ["all"] else list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(
            f"there is no benchmark {', '.join(unknown)}: use all, or some of "
            f"{', '.join(sorted(known))}."
        )
    from lisa.devices import limit_threads

    # Here and not in each benchmark, so that all have the same threads and say how many.
    threads = Measurement.of([limit_threads()], "threads")
    results: Results = {}
    for name in wanted:
        results[name] = {"threads": threads, **known[name].load()()}
        if not quiet:
            print(f"{name}\n{table(results[name])}", flush=True)
    return results


if __name__ == "__main__":
    sys.exit(main())
