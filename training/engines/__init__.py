"""What runs a model's backward passes and steps; `contract` says what a run wants of it."""
