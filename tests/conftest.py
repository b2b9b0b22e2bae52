"""Runs the suite in two processes of one thread each; fixtures for every test: a real face, real models, sound."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import cv2
import numpy as np
import pytest
import torch
from hypothesis import settings
from numpy.typing import NDArray
from skimage.data import astronaut

import mytalk
from mytalk import Picture, Pipeline
from mytalk.face import Face, FaceTracker
from mytalk.media_time import SAMPLE_RATE

ROOT = Path(__file__).parents[1]

settings.register_profile("long", max_examples=10_000, print_blob=True)
"""For ``pytest tests/streamer/fuzz --hypothesis-profile=long --timeout=0``: a hundred times the usual examples."""


def pytest_configure(config: pytest.Config) -> None:
    """Holds the suite's processes, and those that tests start, to one thread of arithmetic each.

    Two processes on two cores with as many threads of torch as there are cores slow each other tenfold.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if "XDG_CONFIG_HOME" not in os.environ:  # a key to sign by is made there on first use: not in the user's own
        os.environ["XDG_CONFIG_HOME"] = mkdtemp(prefix="mytalk-tests-")
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and not hasattr(config, "workerinput"):
        _compile_renderer()


def _compile_renderer() -> None:
    """Compiles the renderer where it is not compiled yet, for the checkout and for what is installed: no test that
    waits for a server shall wait for that."""
    compiling = (sys.executable, "-c", "from mytalk.appearance.warm_up import load_renderer; load_renderer()")
    for folder in (ROOT, ROOT / "clients"):
        subprocess.run(compiling, cwd=folder, check=True)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes for ``pytest`` alone, since half of the suite waits for sockets; none where paths are named."""
    return 2 if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture
def signals_heeded() -> Iterator[None]:
    """Signals do what they do in a terminal, also where the tests run in the background: shells ignore SIGINT there."""
    heeded = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in heeded.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def portrait() -> Picture:
    """The astronaut: 512 x 512, a frontal face 92 pixels wide."""
    return Picture.from_rgb(np.asarray(astronaut(), np.uint8))


@pytest.fixture(scope="session")
def portrait_face(portrait: Picture) -> Face:
    tracker = FaceTracker()
    face = tracker(portrait)
    assert face is not None
    return face


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    """The models with the weights in the package."""
    return mytalk.load("edge", device="cpu")


@pytest.fixture(scope="session")
def babble() -> NDArray[np.float32]:
    """Six seconds that a level gate takes for speech: noise through a syllable-like envelope, from a fixed seed."""
    time = np.arange(6 * SAMPLE_RATE) / SAMPLE_RATE
    envelope = np.clip(np.sin(2 * np.pi * 4 * time), 0, 1)
    buzz = np.sign(np.sin(2 * np.pi * 120 * time)) * np.random.default_rng(7).uniform(0.2, 0.4, len(time))
    return np.asarray(0.3 * envelope * buzz, np.float32)
