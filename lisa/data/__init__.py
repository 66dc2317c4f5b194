"""Readers of data sets and the scene generator: files to neutral records, without a model."""
