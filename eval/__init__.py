"""Measures what the models answer: metrics, questions on any data set, fixed scenes and speed.

Imports `lisa` only.
"""
