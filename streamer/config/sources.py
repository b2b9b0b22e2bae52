"""Reads a server's configuration from a TOML file, over it the environment, over it the command line.

::

    # server.toml                          # environment                   # command line
    max_sessions = 8                       MYTALK_SERVE_MAX_SESSIONS=8     --max-sessions 8
    ice_servers = ["turn:HOST secret=KEY"] MYTALK_SERVE_ICE_SERVERS=...    --ice-server 'turn:HOST secret=KEY'

The names are the fields of :class:`~streamer.config.server_config.ServerConfig`. An unknown name is an error, wherever
it stands.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mytalk.errors import OptionError
from streamer.config.ice_servers import IceServer
from streamer.config.server_config import Help, ServerConfig
from streamer.errors import MismatchError
from streamer.validation import checked

PREFIX = "MYTALK_SERVE_"
"""Of environment variables. Several ICE servers, or texts, are parted by commas."""

_FLAGS = {"ice_servers": "--ice-server", "allow_origins": "--allow-origin"}  # repeatable
_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
_WORDS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off", ""), False)
"""Texts that stand for true and false."""


@dataclass(frozen=True, slots=True)
class _Field:
    """Describes one field of the configuration.

    ``written``: the type of its value in a file, where a path or a server is a text; ``kind``: of its value in the
    configuration, of which None and bounds are no part.
    """

    name: str
    help: str
    written: Any
    kind: Any

    @property
    def is_list(self) -> bool:
        return get_origin(self.kind) is tuple

    @property
    def choices(self) -> tuple[str, ...]:
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def metavar(self) -> str:
        return {int: "N", Path: "FILE", tuple[IceServer, ...]: "SERVER"}.get(self.kind, "TEXT")


@dataclass(frozen=True, slots=True)
class Settings:
    """Holds the configuration and, for each field, where its value was set."""

    config: ServerConfig
    origins: Mapping[str, str]

    def to_toml(self) -> str:
        """Returns a file that would make the same server, but for its secrets, which are masked."""
        lines = []
        for field in _FIELDS.values():
            value = getattr(self.config, field.name)
            written = "# " if value is None else ""
            shown = '""' if value is None else _toml(value)
            origin = self.origins.get(field.name, "default")
            lines.append(f"{written}{field.name} = {shown}  # {origin}; {field.help}")
        return "\n".join(lines) + "\n"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds one option a field. Those that are not given leave no trace in the namespace."""
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"TOML file (or {PREFIX}CONFIG)")
    for field in _FIELDS.values():
        shown = getattr(ServerConfig(), field.name)
        default = "" if shown in (None, (), False) else f" (default: {shown})"
        given: dict[str, Any] = {"help": field.help.replace("%", "%%") + default, "default": argparse.SUPPRESS}
        if field.kind is bool:
            given["action"] = argparse.BooleanOptionalAction
        elif field.choices:
            given["choices"] = field.choices
        else:
            given |= {"metavar": field.metavar} | ({"action": "append"} if field.is_list else {})
        parser.add_argument(_flag(field.name), dest=field.name, **given)


def read_settings(args: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Lays file, environment and command line over one another.

    Raises ``OptionError`` that names the place, the value and what is needed.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, origin, place, raw in _given(args, environment):
        if name not in _FIELDS:
            raise OptionError(f"{place} is not known (known: {', '.join(_FIELDS)})")
        values[name] = _read(raw, _FIELDS[name], place)
        origins[name] = origin
    return Settings(ServerConfig(**values), origins)


def _given(args: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[tuple[str, str, str, Any]]:
    """Yields name, origin, what errors call the place, and raw value; the stronger ones later."""
    path = args.get("config") or environment.get(PREFIX + "CONFIG")
    if path:
        for name, raw in _toml_of(Path(path)).items():
            yield name, str(path), f"{path}: {name}", raw
    for variable, raw in environment.items():
        if variable.startswith(PREFIX) and variable != PREFIX + "CONFIG":
            yield variable.removeprefix(PREFIX).lower(), variable, variable, raw
    for name in _FIELDS:
        if name in args:
            yield name, _flag(name), _flag(name), args[name]


def _toml_of(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror or error} (need a TOML file)") from error
    except ValueError as error:  # also TOMLDecodeError and UnicodeDecodeError
        raise OptionError(f"{path} is not TOML ({error})") from error


def _read(raw: Any, field: _Field, place: str) -> Any:
    value = raw
    if field.is_list:
        given = value.split(",") if isinstance(value, str) else value
        value = [text.strip() for text in given if text.strip()] if _are_texts(given) else given
    elif field.kind is bool and isinstance(value, str):
        value = _WORDS.get(value.lower(), value)
    elif field.kind is int and isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = int(value)
    try:
        value = checked(value, field.written, place)
    except MismatchError as error:
        raise OptionError(str(error)) from error
    if field.kind is Path:
        return Path(value).expanduser() if value else None
    return tuple(map(IceServer.parse, value)) if field.kind == tuple[IceServer, ...] else value


def _are_texts(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(one, str) for one in given)


def _fields() -> Iterator[_Field]:
    for name, annotation in get_type_hints(ServerConfig, include_extras=True).items():
        kind, *notes = get_args(annotation)
        if NoneType in get_args(kind):
            kind = next(one for one in get_args(kind) if one is not NoneType)
        written = {Path: str, tuple[IceServer, ...]: tuple[str, ...]}.get(kind, annotation)
        yield _Field(name, next(note.text for note in notes if isinstance(note, Help)), written, kind)


_FIELDS = {field.name: field for field in _fields()}
"""By name, in order."""


def _flag(name: str) -> str:
    return _FLAGS.get(name, "--" + name.replace("_", "-"))


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(one.masked() if isinstance(one, IceServer) else one) for one in value)}]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
