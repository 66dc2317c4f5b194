"""Scores `lisa-nano` on fixed scenes and real photographs that the repository knows.

Run `python -m eval.nano [--json] [--only naming,click] [--limit 20] [--out DIR] [--resume]`.
"""
