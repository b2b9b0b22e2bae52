"""Where a server's configuration comes from: a TOML file, over it the environment, over it the command line.

::

    # server.toml                          # environment                   # command line
    max_sessions = 8                       MYTALK_SERVE_MAX_SESSIONS=8     --max-sessions 8
    ice_servers = ["turn:HOST secret=KEY"] MYTALK_SERVE_ICE_SERVERS=...    --ice-server 'turn:HOST secret=KEY'

The names are the fields of :class:`~streamer.config.server_config.ServerConfig`. An unknown name is an error, wherever
it stands.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mytalk.errors import OptionError
from streamer.config.ice_servers import IceServer
from streamer.config.server_config import Meaning, ServerConfig

PREFIX = "MYTALK_SERVE_"
"""Of environment variables. Several ICE servers, or texts, are parted by commas."""

_FLAGS = {"ice_servers": "--ice-server"}  # repeatable
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration, and for each field where its value was set."""

    config: ServerConfig
    origins: Mapping[str, str]

    def to_toml(self) -> str:
        """A file that would make the same server, but for its secrets, which are masked."""
        lines = []
        for name, meaning in _meanings():
            value = getattr(self.config, name)
            written = "# " if value is None else ""
            shown = '""' if value is None else _toml(value)
            lines.append(f"{written}{name} = {shown}  # {self.origins.get(name, 'default')}; {meaning.help}")
        return "\n".join(lines) + "\n"


def add_options(parser: argparse.ArgumentParser) -> None:
    """One option a field. Those that are not given leave no trace in the namespace."""
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"TOML file (or {PREFIX}CONFIG)")
    for name, meaning in _meanings():
        shown = getattr(ServerConfig(), name)
        default = "" if shown in (None, (), False) else f" (default: {shown})"
        given: dict[str, Any] = {"help": meaning.help.replace("%", "%%") + default, "default": argparse.SUPPRESS}
        if meaning.kind == "flag":
            given["action"] = argparse.BooleanOptionalAction
        elif meaning.kind in ("servers", "texts"):
            given |= {"action": "append", "metavar": "SERVER" if meaning.kind == "servers" else "TEXT"}
        elif meaning.choices:
            given["choices"] = meaning.choices
        else:
            given["metavar"] = {"whole": "N", "path": "FILE"}.get(meaning.kind, "TEXT")
        parser.add_argument(_flag(name), dest=name, **given)


def read_settings(args: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Lays the three over one another. Raises ``OptionError`` that names the place, the value and what is needed."""
    known = dict(_meanings())
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, origin, place, raw in _given(args, environment):
        if name not in known:
            raise OptionError(f"{place} is not known (known: {', '.join(known)})")
        values[name] = _read(raw, known[name], place)
        origins[name] = origin
    return Settings(ServerConfig(**values), origins)


def _given(args: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[tuple[str, str, str, Any]]:
    """Name, origin, what errors call the place, and raw value; the stronger ones later."""
    path = args.get("config") or environment.get(PREFIX + "CONFIG")
    if path:
        for name, raw in _toml_of(Path(path)).items():
            yield name, str(path), f"{path}: {name}", raw
    for variable, raw in environment.items():
        if variable.startswith(PREFIX) and variable != PREFIX + "CONFIG":
            yield variable.removeprefix(PREFIX).lower(), variable, variable, raw
    for name, _ in _meanings():
        if name in args:
            yield name, _flag(name), _flag(name), args[name]


def _toml_of(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror or error} (need a TOML file)") from error
    except ValueError as error:  # also TOMLDecodeError and UnicodeDecodeError
        raise OptionError(f"{path} is not TOML ({error})") from error


def _read(raw: Any, meaning: Meaning, place: str) -> Any:
    match meaning.kind:
        case "flag":
            return _flag_of(raw, place)
        case "whole":
            return _whole(raw, meaning, place)
        case "servers" | "texts":
            given = raw.split(",") if isinstance(raw, str) else raw
            if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
                raise OptionError(f"{place} is no list of texts")
            texts = [one.strip() for one in given if one.strip()]
            return tuple(map(IceServer.parse, texts) if meaning.kind == "servers" else texts)
    if not isinstance(raw, str):
        raise OptionError(f"{place} is {raw!r} (need a text)")
    if meaning.choices and raw not in meaning.choices:
        raise OptionError(f"{place} is {raw!r} (need one of {', '.join(meaning.choices)})")
    if meaning.kind == "path":
        return Path(raw).expanduser() if raw else None
    return raw


def _flag_of(raw: Any, place: str) -> bool:
    word = raw.lower() if isinstance(raw, str) else raw
    if word is True or word in _YES:
        return True
    if word is False or word in _NO:
        return False
    raise OptionError(f"{place} is {raw!r} (need true or false)")


def _whole(raw: Any, meaning: Meaning, place: str) -> int:
    text = str(raw).strip()
    whole = isinstance(raw, (int, str)) and text.isascii() and text.isdecimal() and len(text) < 16
    if whole and meaning.least <= int(text) <= meaning.most:
        return int(text)
    raise OptionError(f"{place} is {raw!r} (need a whole number from {meaning.least} to {meaning.most})")


def _meanings() -> Iterator[tuple[str, Meaning]]:
    return ((field.name, field.metadata["meaning"]) for field in fields(ServerConfig))


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
