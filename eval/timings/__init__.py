"""Speed measurements; `python -m eval.speed` finds them through entry points."""
