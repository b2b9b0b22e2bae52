"""A server that takes as many requests as the longer run makes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamer.config.server_config import ServerConfig


@pytest.fixture
def config(config: ServerConfig) -> ServerConfig:
    """The usual configuration, without a limit of requests a minute."""
    return replace(config, requests_per_minute=0)
