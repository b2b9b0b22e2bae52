"""A server that takes as many requests as the longer run makes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamer.clock import SECOND_NS
from streamer.config.server_config import ServerConfig
from streamer.http import websocket
from tests.support.limits import LIMIT_S


@pytest.fixture
def config(config: ServerConfig) -> ServerConfig:
    """The usual configuration, without a limit of requests a minute."""
    return replace(config, requests_per_minute=0)


@pytest.fixture(autouse=True)
def _last_messages_have_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves a stream that is over the time to close in order, on a machine however busy."""
    monkeypatch.setattr(websocket, "_FAREWELL", round(LIMIT_S * SECOND_NS))
