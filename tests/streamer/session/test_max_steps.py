"""Sampling steps have a maximum that the operator sets, on creation and while a session is live."""

from __future__ import annotations

import pytest

from streamer.config.server_config import ServerConfig
from streamer.cpu import ONE_EACH
from streamer.engine.admission import StreamLoad
from streamer.errors import ProtocolError
from streamer.http.server import Running
from streamer.session.controls import LiveControls
from streamer.session.options import SessionOptions
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.honest_session import honest_session
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


def test_a_live_session_gets_no_more_steps_than_the_engine_has_time_for() -> None:
    asked = []

    def refusal(steps: int, before: int) -> str | None:
        asked.append((steps, before))
        return "the engine threads work 90 % of the time"

    controls = LiveControls(SessionOptions(), preset_steps=3, max_steps=4, refusal=refusal)
    controls.change({"steps": 2})
    assert not asked  # fewer are always allowed
    with pytest.raises(ProtocolError, match="the engine has no time for more than 2"):
        controls.change({"mouth_opening": 0.5, "steps": 4})
    assert asked == [(4, 2)]
    assert (controls.now.steps, controls.now.mouth_opening) == (2, 1.0)


class Busy(StreamLoad):
    """Works for a little less than half of the time for a stream."""

    def at(self, now: int) -> dict[str, float]:
        return {"engine": 0.45}


async def test_the_engine_counts_the_steps_that_are_asked_for_in_place_of_others(
    server: Running, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = server.engine
    async with honest_session(client):
        [slot] = engine._engines.slots
        monkeypatch.setattr(slot, "load", Busy(0))
        monkeypatch.setattr(engine, "threads", ONE_EACH)
        monkeypatch.setattr(engine.load, "cost", lambda steps: steps / 2)
        monkeypatch.setattr(type(engine.load), "shared", None)  # the peers take as much of this process
        assert engine.refusal(2) is None  # 0.45 + 0.45
        assert engine.refusal(3) is not None
        assert engine.refusal(4, instead_of=2) is None
        assert engine.refusal(5, instead_of=2) is not None
        assert engine.refusal(1, instead_of=2) is None
