"""The recipe of `lisa-nano`; run it with `python -m training.nano`."""
