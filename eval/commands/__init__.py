"""The sub-command `lisa eval` and its actions; `lisa.cli` says what a module of a command has."""
