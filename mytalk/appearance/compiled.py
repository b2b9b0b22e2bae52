"""Compiles the renderer's arithmetic to machine code that runs without the interpreter's lock, and caches it.

The first process on a machine compiles for some seconds; what it made is read by all later ones.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

Real: TypeAlias = Any
"""A float32, or a float that is made one: numpy's types tell them apart, compiled code need not."""

_FAST = {"contract", "reassoc", "arcp", "nsz", "afn"}  # without nnan and ninf: a NaN stays one


def compiled(function: Function) -> Function:
    """Compiles a function of arrays when it is first called. It may only call others that are compiled."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(CACHE or "")
    try:
        made = numba.njit(
            nogil=True, no_cfunc_wrapper=True, cache=CACHE is not None, error_model="numpy", fastmath=_FAST
        )(function)
    finally:
        numba.config.CACHE_DIR = before
    return cast(Function, made)


def leaf(function: Function) -> Function:
    """Marks a function that is called for each pixel: it becomes part of its caller, where no reference is counted."""
    made = numba.njit(nogil=True, error_model="numpy", fastmath=_FAST, forceinline=True)(function)
    return cast(Function, made)


def inlined(function: Function) -> Function:
    """Marks a function that is called in one place of another, and is compiled as part of it."""
    made = numba.njit(nogil=True, error_model="numpy", fastmath=_FAST, inline="always")(function)
    return cast(Function, made)


def is_cached(function: Callable[..., Any]) -> bool:
    """Says whether a compiled function's machine code is on the disk."""
    name = getattr(function, "py_func", function).__name__
    return CACHE is not None and any(CACHE.rglob(f"*.{name}-*.nbi"))


def _cache_folder() -> Path | None:
    """Returns where machine code is kept: beside this file, or in the user's cache; None where neither can be written.

    Named by all sources of this folder: a function's code holds that of the functions it calls, in other files.
    Processes that write it at once replace whole files.
    """
    here, sources = Path(__file__).parent, hashlib.sha256()
    for path in sorted(here.glob("*.py")):
        sources.update(path.read_bytes())
    own = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    given = numba.config.CACHE_DIR
    for base in [given] if given else [here / "__pycache__", Path(own) / "mytalk"]:
        folder = Path(base) / f"machine_code-{sources.hexdigest()[:16]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None


CACHE = _cache_folder()
"""Folder of the machine code; None: every process compiles anew."""
