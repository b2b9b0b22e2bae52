"""Shares the machine's cores between the engine's threads and those that decode, send and encode."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mytalk.runtime.threads import set_threads

_MOST = 4  # models this small gain nothing from more
_MOST_ENGINE, _MOST_BESIDE = 8, 4  # Python runs one thread at a time where it is not inside a library
_LEAST_CODECS, _MOST_CODECS = 4, 16
_SWITCH_INTERVAL = 0.0002  # seconds that one thread may keep another from Python; usually 5 ms
_THREADS = Path("/proc/self/task")  # one entry each
_STATISTICS = Path("/proc/stat")  # one line for each core: ticks by what it did (proc_stat(5))
_IDLE = slice(3, 5)  # columns of a core that did nothing, or waited for a disk
_GUEST = slice(8, 10)  # columns that others hold too
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2: microseconds of CPU, or "max", and in how many they may be used


class Threads(NamedTuple):
    """Counts the engine's threads: those that run the models, track faces, and recognise speech."""

    engine: int
    tracker: int
    listener: int = 1


ONE_EACH = Threads(1, 1)


def sleep_when_idle() -> None:
    """Makes OpenMP's threads sleep between parallel parts: a thread that spins keeps others waiting.

    NumPy's BLAS stays on its caller's thread: its matrices here are tiny. Only before NumPy and torch are imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def available_cores(quota: Path = _QUOTA) -> int:
    """Counts the cores that this process may use: a container's share in whole cores, at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        used, period = quota.read_text().split()
        return max(1, min(cores, int(used) // int(period)))
    except (OSError, ValueError):  # no container, or one without a limit
        return cores


def machine_cpu_seconds(statistics: Path = _STATISTICS) -> float | None:
    """Reads the seconds that all programs have computed on the cores that this process may use; None where the system
    does not say."""
    try:
        lines = [line.split() for line in statistics.read_text().splitlines() if line.startswith("cpu")]
    except OSError:
        return None
    mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    ticks = [[int(field) for field in fields[1:]] for fields in lines if fields[0] in mine]
    busy = sum(sum(one) - sum(one[_IDLE]) - sum(one[_GUEST]) for one in ticks)
    return busy / os.sysconf("SC_CLK_TCK")


def take_priority(nice: int) -> bool:
    """Sets the priority of this process, ``nice`` from -20 (first) to 19. Returns False, and leaves it as it was, where
    the system does not allow it.

    Below 0 that takes the right CAP_SYS_NICE or a limit of RLIMIT_NICE, which most programs lack. Linux has a priority
    for each thread, which those that it starts begin with (setpriority(2)).
    """
    threads = [int(path.name) for path in _THREADS.iterdir()] if _THREADS.is_dir() else [0]
    try:
        for thread in threads:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.setpriority(os.PRIO_PROCESS, thread, nice)
    except OSError:
        return False
    return True


def engine_threads(cores: int, engine: int = 0, tracker: int = 0) -> Threads:
    """Gives half of the cores to models (1 to 8), a quarter to tracking (1 to 4) and as many to speech.

    Rendering a picture takes three times as long as tracking its face, or as recognising its speech: threads that do
    that rest a third of the time, which is left to the event loop, to decoders and to encoders. ``engine`` and
    ``tracker`` replace these numbers where they are not 0.

    >>> [tuple(engine_threads(cores)) for cores in (2, 4, 8, 16, 64)]
    [(1, 1, 1), (2, 1, 1), (4, 2, 2), (8, 4, 4), (8, 4, 4)]
    """
    beside = max(1, min(_MOST_BESIDE, cores // 4))
    return Threads(engine or max(1, min(_MOST_ENGINE, cores // 2)), tracker or beside, beside)


def codec_threads(cores: int) -> int:
    """Gives one thread for each core, 4 to 16: on a small machine a packet of sound must not wait for pictures.

    >>> [codec_threads(cores) for cores in (2, 4, 8, 64)]
    [4, 4, 8, 16]
    """
    return max(_LEAST_CODECS, min(_MOST_CODECS, cores))


def leave_some_to_others(callers: int = 1) -> None:
    """Limits networks to half of the cores, at least one, where one thread calls them; to one core each where several
    do. Only models that are loaded afterwards heed it.

    OpenCV stays on its caller's thread, and threads take short turns in Python.

    A parallel part waits for its slowest thread: on a busy machine that is a time slice of the scheduler (measured: a
    frame took nine times as long on two cores shared with two other programs). A thread that leaves a library waits
    for whoever has taken Python meanwhile, and the engine's leave one some hundred times a picture.

    All of it is the whole process's.
    """
    import cv2

    sys.setswitchinterval(_SWITCH_INTERVAL)
    cv2.setNumThreads(1)
    set_threads(1 if callers > 1 else max(1, min(_MOST, available_cores() // 2)))
