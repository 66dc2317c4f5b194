"""`lisa data`, `lisa train` and `lisa merge`."""
