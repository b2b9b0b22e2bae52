"""Says how many threads a library may use for one call."""

from __future__ import annotations

import os

_MOST = 4  # networks as small as these are no quicker on more

_chosen: int | None = None


def set_threads(count: int) -> None:
    """Chooses the threads that one call of ONNX Runtime or torch may use, in models that are loaded from now on."""
    global _chosen
    _chosen = count


def threads() -> int:
    """Returns the threads that one call may use; where nothing was chosen, half of the cores, 1 to 4."""
    return _chosen or max(1, min(_MOST, (os.cpu_count() or 1) // 2))
