"""Measures what the models answer: metrics, fixed scenes and speed. Imports `lisa` only."""
