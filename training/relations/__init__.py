"""Training of relations between named things on PSG (GRNet's second stage)."""
