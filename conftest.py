"""Runs the whole suite in two processes, each of which computes with one thread.

Half of the suite's time passes in waits for real sockets and pictures. Two processes on two cores, each with as many
threads of torch as there are cores, slow each other tenfold.
"""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes for ``pytest`` alone; none beside the main one where files or folders are named."""
    return 2 if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0
