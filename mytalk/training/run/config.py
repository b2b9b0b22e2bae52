"""Reads one TOML file that says how everything of a preset is trained, into frozen dataclasses; a misspelt key is an
error.

::

    preset = "edge"

    [sizes.motion]        # what differs from the preset of that name
    layers = 2

    [motion]              # options of `mytalk train motion`; likewise [identity], [appearance], [distill]
    steps = 30000
    batch = 16
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar

from mytalk.errors import OptionError
from mytalk.presets import PRESETS, Preset

TRAINERS = ("identity", "motion", "appearance", "distill")

ScheduleName = Literal["constant", "inverse_square_root", "cosine"]
Precision = Literal["no", "bf16", "fp16"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """Holds options that all trainers have. Each adds its own by inheritance; field names are the TOML's keys.

    Give either ``steps`` or ``epochs`` (passes over the training examples).
    """

    steps: int = 0
    epochs: float = 0.0
    batch: int = 16  # rows a step, over all processes and passes
    accumulate: int = 1  # passes a step: gradients are summed, memory is that of batch / accumulate rows
    precision: Precision = "no"
    seed: int = 1
    workers: int = 0  # processes a GPU that make examples; 0: the training process itself
    learning_rate: float = 1e-4
    schedule: ScheduleName = "constant"
    warm_up: int = 0  # steps of linear rise
    cool_down: float = 0.0  # share of the run at its end in which the rate falls to (nearly) nothing, linearly
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0  # decoupled (AdamW); 0 is Adam
    clip: float = 1.0  # largest norm of a gradient; 0 leaves it as it is
    ema: float = 0.999  # decay of the weights' moving average, which is what is validated and exported
    log_every: int = 50
    validate_every: int = 1000
    validation_rows: int = 64
    hold_out: tuple[str, ...] = ()  # people kept for validation
    save_every: int = 1000
    keep_best: int = 2  # checkpoints by validation, beside the newest
    pictures_every: int = 1000  # 0: none


@dataclass(frozen=True, slots=True)
class Config:
    """Holds a TOML file as read: its text, its preset, and the tables that trainers read their options from."""

    name: str
    text: str
    preset: Preset
    tables: Mapping[str, Mapping[str, Any]]

    def options(self, trainer: str, kind: type[T], **given: Any) -> T:
        """Returns the options of one trainer; ``given`` ones that are not None (from the command line) win.

        Raises OptionError naming a key that ``kind`` does not have, or a value of another type.
        """
        table = {**self.tables.get(trainer, {}), **{key: value for key, value in given.items() if value is not None}}
        return build(kind, table, f"{self.name}: [{trainer}]")


def read_config(name: str | Path) -> Config:
    """Reads a config that ships with the package (``edge``, ``paper``, ``tiny``), or a TOML file.

    Raises OptionError where it is neither, is not TOML, or holds a key that is not known.
    """
    shipped = files("mytalk.training") / "configs" / f"{name}.toml"
    if shipped.is_file():
        return parse_config(str(name), shipped.read_text())
    try:
        return parse_config(str(name), Path(name).read_text())
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(path.name[:-5] for path in (files("mytalk.training") / "configs").iterdir()))
        raise OptionError(f"config {name}: cannot be read ({error}); need a TOML file or one of {known}") from error


def parse_config(name: str, text: str) -> Config:
    """Parses the text of a config. Raises OptionError as `read_config` does."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"{name}: not TOML ({error})") from error
    for key in document:
        if key not in ("preset", "sizes", *TRAINERS):
            raise OptionError(f"{name}: unknown key {key!r} (known: preset, sizes, {', '.join(TRAINERS)})")
    preset = PRESETS.get(str(document.get("preset")))
    if preset is None:
        raise OptionError(f"{name}: preset {document.get('preset')!r} is unknown (known: {', '.join(PRESETS)})")
    preset = override(preset, document.get("sizes", {}), f"{name}: [sizes]")
    return Config(name, text, preset, {key: document[key] for key in TRAINERS if key in document})


def override(base: T, table: Mapping[str, Any], where: str) -> T:
    """Replaces some fields of a frozen dataclass; tables reach into fields that are dataclasses themselves."""
    hints = typing.get_type_hints(type(base))
    changed: dict[str, Any] = {}
    for key, value in table.items():
        _check_known(type(base), key, where)
        inner = getattr(base, key)
        if dataclasses.is_dataclass(inner) and isinstance(value, dict):
            changed[key] = override(inner, value, f"{where[:-1]}.{key}]")
        else:
            changed[key] = _fit(hints[key], value, f"{where} {key}")
    return dataclasses.replace(base, **changed)  # type: ignore[type-var]


def build(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """Builds a dataclass from a table. Raises OptionError naming the key."""
    hints = typing.get_type_hints(kind)
    for key in table:
        _check_known(kind, key, where)
    return kind(**{key: _fit(hints[key], value, f"{where} {key}") for key, value in table.items()})


def _check_known(kind: type[Any], key: str, where: str) -> None:
    known = [field.name for field in dataclasses.fields(kind)]
    if key not in known:
        raise OptionError(f"{where} {key}: no such option (known: {', '.join(known)})")


def _fit(hint: Any, value: Any, where: str) -> Any:
    """Converts a TOML value to the type that a field wants: lists become tuples, whole numbers become floats."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal and value in inner:
        return value
    if origin in (types.UnionType, typing.Union):
        for one in inner:
            if _is(one, value):
                return _fit(one, value, where)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = inner[:1] * len(value) if inner[1:] == (Ellipsis,) else inner
        if len(kinds) == len(value):
            return tuple(_fit(kind, one, where) for kind, one in zip(kinds, value, strict=True))
    if hint is float and _is(int, value):
        return float(value)
    if origin is None and _is(hint, value):
        return value
    wanted = ", ".join(map(repr, inner)) if origin is Literal else getattr(hint, "__name__", str(hint))
    raise OptionError(f"{where} = {value!r}: need {wanted}")


def _is(hint: Any, value: Any) -> bool:
    kind = typing.get_origin(hint) or hint
    if isinstance(value, bool):
        return kind is bool
    if kind is Literal:
        return value in typing.get_args(hint)
    return isinstance(value, (list, tuple) if kind is tuple else kind)
