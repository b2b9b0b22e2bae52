"""Says which extra of the package brings a module that is not installed."""

from __future__ import annotations

from importlib import import_module

from mytalk.errors import OptionError


def require_torch(what: str) -> None:
    """Imports torch for ``what`` needs it. Raises OptionError that says what to install."""
    try:
        import_module("torch")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise OptionError(needed(what, "torch", "gpu")) from error


def needed(what: str, module: str, extra: str) -> str:
    """Words that ``what`` cannot be done without a module of an extra.

    >>> needed("training", "torch", "train")
    "training needs torch: pip install 'mytalk-streamer[train]'"
    """
    return f"{what} needs {module}: pip install 'mytalk-streamer[{extra}]'"
