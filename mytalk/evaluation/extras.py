"""Imports packages that only some measures need, on first use; without one, its measure is not computed."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from mytalk.errors import OptionError

INSTALL = "pip install 'mytalk-streamer[evaluate]'"


class MissingExtraError(OptionError):
    """Says that a package of the extra ``evaluate`` is not installed."""


def extra(module: str) -> Any:
    """Imports a module. Raises MissingExtraError that says what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"package {module.split('.')[0]} is not installed ({INSTALL})") from error


def missing(module: str) -> str | None:
    """Returns why a module cannot be imported, or None."""
    try:
        extra(module)
    except MissingExtraError as error:
        return str(error)
    return None


def folder_of(package: str) -> Path:
    """Finds the folder of a package without importing it. Raises MissingExtraError."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingExtraError(f"package {package} is not installed ({INSTALL})")
    return Path(spec.origin).parent


def part_of(package: str, module: str) -> Any:
    """Imports one module of a package without what its ``__init__`` imports.

    torch-fidelity's and lpips's import torchvision, which fails unless it was built for this very torch, and of which
    the parts used here need nothing.
    """
    if package in sys.modules:
        return extra(f"{package}.{module}")
    bare = ModuleType(package)
    bare.__path__ = [str(folder_of(package))]
    sys.modules[package] = bare
    try:
        return extra(f"{package}.{module}")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]
