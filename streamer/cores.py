"""How the machine's cores are shared between torch and the threads that decode, track and encode."""

from __future__ import annotations

import os

_MOST = 4  # models this small gain nothing from more


def sleep_when_idle() -> None:
    """Have OpenMP's threads sleep between parallel parts instead of spinning: a spinning thread keeps others waiting.

    Only before torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def leave_some_to_others() -> None:
    """Half of the cores for torch, at least one. Imports torch."""
    import torch

    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, min(_MOST, mine // 2)))
