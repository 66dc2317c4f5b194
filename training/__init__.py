"""Trains the models. Imports `lisa` and `eval`; nothing imports it."""
