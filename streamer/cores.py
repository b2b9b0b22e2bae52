"""How the machine's cores are shared between torch and the threads that decode, track and encode."""

from __future__ import annotations

import os

_MOST = 4  # models this small gain nothing from more


def sleep_when_idle() -> None:
    """Have OpenMP's threads sleep between parallel parts instead of spinning: a spinning thread keeps others waiting.

    NumPy's BLAS stays on its caller's thread: its matrices here are tiny. Only before NumPy and torch are imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def leave_some_to_others() -> None:
    """Half of the cores for torch, at least one; OpenCV stays on its caller's thread.

    A parallel part waits for its slowest thread: on a busy machine that is a time slice of the scheduler (measured: a
    frame took nine times as long on two cores shared with two other programs). Imports torch.
    """
    import cv2
    import torch

    cv2.setNumThreads(1)

    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, min(_MOST, mine // 2)))
