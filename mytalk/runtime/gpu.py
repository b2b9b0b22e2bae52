"""Looks for a GPU without importing torch, which takes seconds."""

from __future__ import annotations

import ctypes
import importlib.util
import sys


def may_have_gpu() -> bool:
    """Says whether torch is installed and this machine has a CUDA driver: then torch must be asked."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return importlib.util.find_spec("torch") is not None
