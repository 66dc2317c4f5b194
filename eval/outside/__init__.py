"""Predictions of other systems, brought into the form of our own so that the same code scores."""
