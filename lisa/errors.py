"""The errors that a user may meet, each one sentence: what we got, what we wanted, what to do.

The command line prints the sentence and ends with exit code 2; in Python they are ordinary
exceptions. A mistake of our own is never a `LisaError`: it stays a traceback.
"""

from __future__ import annotations


class LisaError(Exception):
    """Base of every error whose message is written for the person who runs the program."""


class ConfigError(LisaError):
    """A setting, an option or a configuration file has a value that cannot be used."""


class CheckpointError(LisaError):
    """Weights are missing, damaged, of another layout, or do not fit the model."""


class ImageError(LisaError):
    """A picture cannot be found, read or accepted."""


class DataError(LisaError):
    """A record of a data set or an annotation (a mask, a polygon, a box) is malformed."""


class PromptError(LisaError):
    """A question or a conversation cannot be put to the model, for instance a too long one."""


class MissingDependencyError(LisaError):
    """A package that this job needs is not installed; the sentence names the extra to install."""


class DeviceError(LisaError):
    """The device or number type asked for does not exist on this machine."""
