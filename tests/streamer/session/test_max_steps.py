"""Sampling steps have a maximum that the operator sets, on creation and while a session is live."""

from __future__ import annotations

import pytest

from streamer.config.server_config import ServerConfig
from streamer.errors import ProtocolError
from streamer.http.server import Running
from streamer.session.controls import LiveControls
from streamer.session.options import SessionOptions
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client


@pytest.fixture
def config(config: ServerConfig) -> ServerConfig:
    assert config.max_steps == FakeModels.steps == 4  # by default, and the preset's own
    return config


async def test_a_session_of_too_many_steps_is_refused_with_the_maximum(client: Client, server: Running) -> None:
    wanted = {"source": "portrait", "speech": "demo"}
    async with client.http.post(f"{client.url}/v1/sessions", json=wanted | {"steps": 5}) as response:
        assert response.status == 400
        assert "steps is 5: this server allows 1 to 4 (its operator sets --max-steps)" in await response.text()
    assert server.sessions.all() == []
    await client.create(**wanted, steps=4)


def test_a_live_session_cannot_be_given_too_many_steps() -> None:
    controls = LiveControls(SessionOptions(), preset_steps=1, max_steps=4)
    with pytest.raises(ProtocolError, match="steps is 5: this server allows 1 to 4"):
        controls.change({"mouth_opening": 0.5, "steps": 5})
    assert controls.now.mouth_opening == 1.0
    controls.change({"steps": 4})
    assert controls.now.steps == 4
