"""The sub-commands that `lisa` brings itself; `lisa.cli` says what a module of them has."""
