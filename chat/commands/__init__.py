"""Sub-commands of `lisa` that talk with people and programs."""
