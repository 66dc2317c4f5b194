"""The assistant in a terminal: lines in, text and small pictures out."""
