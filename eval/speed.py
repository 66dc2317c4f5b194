"""Runs speed measurements, found through the entry-point group `lisa.benchmarks`.

    python -m eval.speed list
    python -m eval.speed segment
    python -m eval.speed all --json

A measurement is a function without arguments that returns {what was measured: number}. Packages add
theirs in their own entry points, so this file knows none of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

from lisa.errors import ConfigError, LisaError

BENCHMARK_GROUP = "lisa.benchmarks"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the measurements that the arguments name.

    Returns:
        The exit code: 0, or 2 for a mistake of the user's.
    """
    parser = argparse.ArgumentParser(
        prog="python -m eval.speed", description="Measure how fast things are on this machine."
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="list, all, or names")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    try:
        known = {entry.name: entry for entry in entry_points(group=BENCHMARK_GROUP)}
        if args.names == ["list"]:
            print(json.dumps(sorted(known)) if args.json else "\n".join(sorted(known)))
            return 0
        results = _measure(args.names, known, quiet=args.json)
    except LisaError as error:
        print(f"eval.speed: error: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(results))
    return 0


def _measure(
    names: Sequence[str], known: dict[str, EntryPoint], *, quiet: bool
) -> dict[str, dict[str, float]]:
    wanted = sorted(known) if list(names) == ["all"] else list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(
            f"there is no benchmark {', '.join(unknown)}: use all, or some of "
            f"{', '.join(sorted(known))}."
        )
    results: dict[str, dict[str, float]] = {}
    for name in wanted:
        results[name] = known[name].load()()
        if not quiet:
            print(name)
            width = max([24, *map(len, results[name])])
            for what, value in results[name].items():
                print(f"  {what:<{width}} {value:.3f}")
    return results


if __name__ == "__main__":
    sys.exit(main())
