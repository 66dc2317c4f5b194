"""Training of taggers: tags out of captions, lists of tags, objectives, thresholds."""
