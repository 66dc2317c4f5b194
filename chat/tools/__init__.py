"""The tools of the assistant, one a file."""
