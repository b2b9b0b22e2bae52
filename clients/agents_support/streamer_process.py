"""Gives the tests of the agents' plug-ins a MyTalk streamer with fake models, in a process of its own, and speech."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from mytalk_client.local_server import local_server

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / ".venv" / "bin" / "python"
"""The Python of the engine's own environment, where there is one: an agent's environment has no need of it."""

LIMIT_S = 100.0
RATE = 24_000


def tone(seconds: float, rate: int = RATE) -> bytes:
    """A tone that swells and fades."""
    moments = np.arange(round(seconds * rate)) / rate
    loudness = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * moments)
    return bytes((9_000 * loudness * np.sin(2 * np.pi * 220 * moments)).astype("<i2").tobytes())


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.chdir(ROOT)
    python = str(ENGINE) if ENGINE.exists() else sys.executable
    files = [str(ROOT / "mytalk" / "assets" / name) for name in ("astronaut.png", "demo_speech.flac")]
    async with local_server(command=(python, "-m", "tests.streamer.support.fake_server", *files)) as url:
        yield url
