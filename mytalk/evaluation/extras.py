"""Packages that only some measures need. They are imported on first use; without one, its measure is not computed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mytalk.errors import OptionError

INSTALL = "pip install 'mytalk-streamer[evaluate]'"


class MissingExtraError(OptionError):
    """A package of the extra ``evaluate`` is not installed."""


def extra(module: str) -> Any:
    """The module. Raises MissingExtraError that says what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"package {module.split('.')[0]} is not installed ({INSTALL})") from error
