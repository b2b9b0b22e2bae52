"""Says which extra of the package brings a module that is not installed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from mytalk.errors import PresetError


def import_torch(what: str) -> ModuleType:
    """Imports torch for ``what`` needs it. Raises PresetError that says what to install."""
    return import_extra("torch", "gpu", what)


def import_extra(module: str, extra: str, what: str) -> ModuleType:
    """Imports a module of an extra. Raises PresetError that says what to install."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0]:
            raise
        raise PresetError(f"{what} needs {error.name}: pip install 'mytalk-streamer[{extra}]'") from error
