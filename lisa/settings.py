"""Configuration files and `name=value` words as frozen dataclasses, checked key by key.

A dataclass is the schema: its fields are the keys, their types what a value may be. A key that does
not exist is an error that names the nearest one that does, never something ignored.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import yaml

from lisa.errors import ConfigError

Settings = TypeVar("Settings")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds names and values.

    Raises:
        ConfigError: If there is no such file, or it holds anything else.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{str(path)!r} cannot be read as YAML: {reason}.") from error
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ConfigError(f"{str(path)!r} must hold names and values, such as `seed: 1`.")
    return data


def override(data: Mapping[str, Any], words: Iterable[str]) -> dict[str, Any]:
    """Apply `name.name=value` words; a value is read as YAML.

    Args:
        data: Names and values, possibly nested; left as it is.
        words: From the command line.

    Raises:
        ConfigError: If a word has no equals sign, or its value is no YAML.
    """
    changed = dict(data)
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or not all(name.split(".")):
            raise ConfigError(f"{word!r} is not of the form name=value or part.name=value.")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{word!r} has a value that cannot be read: quote it.") from error
        _put(changed, name.split("."), value)
    return changed


def _put(data: dict[str, Any], path: list[str], value: Any) -> None:
    if len(path) == 1:
        data[path[0]] = value
        return
    inner = data.get(path[0])
    data[path[0]] = dict(inner) if isinstance(inner, Mapping) else {}
    _put(data[path[0]], path[1:], value)


def build_settings(cls: type[Settings], data: Mapping[str, Any], where: str) -> Settings:
    """Build a dataclass from names and values.

    Args:
        cls: A dataclass of numbers, texts, paths, choices (`Literal`), tuples, mappings from text,
            optional ones of these, and further such dataclasses.
        data: Its fields; those left out keep their defaults.
        where: Of the file, for messages.

    Raises:
        ConfigError: Naming every key that is unknown or missing and every value of a wrong type.
    """
    faults: list[str] = []
    built = _dataclass(cls, data, "", faults)
    if faults:
        raise ConfigError(f"{where}: {'; '.join(faults)}.")
    return cast(Settings, built)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant; None if none is near."""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.5)
    return found[0] if found else None


def plain(settings: Any) -> Any:
    """Return settings as values that YAML and JSON hold; :func:`build_settings` reads them back."""
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        return {f.name: plain(getattr(settings, f.name)) for f in dataclasses.fields(settings)}
    if isinstance(settings, Mapping):
        return {key: plain(value) for key, value in settings.items()}
    if isinstance(settings, tuple | list):
        return [plain(value) for value in settings]
    return str(settings) if isinstance(settings, Path) else settings


_WRONG = object()


def _dataclass(cls: Any, data: Any, place: str, faults: list[str]) -> Any:
    if not isinstance(data, Mapping):
        faults.append(f"{place or 'the file'} must hold names and values, not {data!r:.60}")
        return _WRONG
    known = {field.name: field for field in dataclasses.fields(cls)}
    hints = get_type_hints(cls)
    dot = f"{place}." if place else ""
    for key in data:
        if key not in known:
            near = nearest(str(key), known)
            hint = f"did you mean {dot}{near}?" if near else f"known are {', '.join(known)}"
            faults.append(f"{dot}{key} is unknown ({hint})")
    values = {}
    for name, field in known.items():
        if name in data:
            values[name] = _value(hints[name], data[name], dot + name, faults)
        elif _required(field):
            faults.append(f"{dot}{name} is missing")
    if any(value is _WRONG for value in values.values()) or faults:
        return _WRONG
    try:
        return cls(**values)
    except ConfigError as error:  # what a dataclass checks of itself
        faults.append(f"{place + ': ' if place else ''}{str(error).rstrip('.')}")
        return _WRONG


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(hint: Any, value: Any, place: str, faults: list[str]) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _value(next(a for a in arguments if a is not type(None)), value, place, faults)
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint, value, place, faults)
    if origin is Literal and value in arguments and type(value) in map(type, arguments):
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return _tuple(arguments, value, place, faults)
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return {
            str(key): _value(arguments[1], one, f"{place}.{key}", faults)
            for key, one in value.items()
        }
    read = _scalar(hint, value)
    if read is _WRONG:
        faults.append(f"{place} must be {_describe(hint)}, not {value!r:.60}")
    return read


def _tuple(arguments: tuple[Any, ...], value: Any, place: str, faults: list[str]) -> Any:
    if arguments[-1] is Ellipsis:
        hints = [arguments[0]] * len(value)
    elif len(arguments) == len(value):
        hints = list(arguments)
    else:
        faults.append(f"{place} must be {len(arguments)} values, not {len(value)}")
        return _WRONG
    pairs = enumerate(zip(hints, value, strict=True))
    return tuple(_value(hint, one, f"{place}[{i}]", faults) for i, (hint, one) in pairs)


def _scalar(hint: Any, value: Any) -> Any:
    if hint is Path and isinstance(value, str) and value:
        return Path(value)
    if hint is str and isinstance(value, str):
        return value
    if isinstance(value, bool) or hint is bool:
        return value if hint is bool and isinstance(value, bool) else _WRONG
    if hint is float:
        return _float(value)
    # 1e3 is a float in YAML 1.2 and a text in PyYAML; as a whole number it is welcome.
    number = _float(value)
    return int(number) if hint is int and number is not _WRONG and number == int(number) else _WRONG


def _float(value: Any) -> Any:
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except ValueError:
        return _WRONG
    return number if math.isfinite(number) else _WRONG


def _describe(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if get_origin(hint) is tuple:
        return "a list"
    if get_origin(hint) in (dict, Mapping):
        return "names and values"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return words.get(hint, "a path")
