"""Runs `python -m eval.nano`."""

import sys

from eval.nano.command import main

if __name__ == "__main__":
    sys.exit(main())
