"""Conversations with a person. Imports `lisa` only. Arrives in a later release."""
