"""A session without users rests: nothing is rendered, and its slot at the engine is free for another."""

from __future__ import annotations

import pytest

from streamer.engine.engine import Engine
from streamer.http.server import Running
from streamer.session.registry import GAVE_WAY
from streamer.session.session import Session
from tests.streamer.support.fake_models import MARK, FakeModels
from tests.streamer.support.http_client import Client, ask
from tests.streamer.support.stream_client import Streamer
from tests.streamer.support.waiting import eventually
from tests.streamer.support.whip_clients import Obs, post, published, watch


def only(server: Running) -> Session:
    [session] = server.sessions.all()
    return session


async def test_a_killed_browser_s_slot_is_another_session_s_soon(
    client: Client, server: Running, models: FakeModels
) -> None:
    session = await client.create(source="portrait", speech="demo")
    viewer = await watch(client, session)
    await viewer.until(pictures=5)
    viewer.vanish()
    await eventually(lambda: only(server).resting)
    await eventually(lambda: models.streams[0].closed and not server.engine.slots)
    state = await client.state(session)
    assert state["state"] == "live"
    assert state["stats"]["resting"] is True
    assert state["events"][-1]["pictures"] == "untouched"
    await viewer.close()


async def test_who_comes_back_wakes_it(client: Client, server: Running, models: FakeModels) -> None:
    session = await client.create(source="portrait", speech="demo")
    viewer = await watch(client, session)
    await viewer.until(pictures=5)
    await viewer.close()
    await eventually(lambda: only(server).resting)
    again = await watch(client, session)
    assert not only(server).resting
    x0, y0, x1, y1 = MARK

    def dubbed() -> bool:
        return bool(again.pictures) and bool(
            again.pictures[-1][1].to_ndarray(format="rgb24")[y0 + 8 : y1 - 8, x0 + 8 : x1 - 8].mean() > 225
        )

    await eventually(dubbed)
    assert len(models.streams) == 2
    assert [event["pictures"] for event in only(server).events.to_json()] == ["untouched", "dubbed"]
    await again.close()


async def test_a_publisher_that_left_may_come_back_if_there_is_time_for_it(
    client: Client, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with published(client) as (session, obs):
        viewer = await watch(client, session)
        await viewer.until(pictures=5)
        await obs.stop(client, session["token"])
        await eventually(lambda: only(server).resting)
        assert len(only(server).connections.viewers) == 1  # who sees a picture that stands still
        again = Obs()
        monkeypatch.setattr(Engine, "refusal", lambda engine, steps: "there is no time")
        answer = await post(client, session["urls"]["whip"], session["token"], await again.offer())
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        monkeypatch.undo()
        await again.start(client, session["urls"]["whip"], session["token"])
        assert not only(server).resting
        await again.stop(client, session["token"])
        await viewer.close()


async def test_a_stream_too_is_refused_where_the_engine_has_no_time(
    client: Client, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with published(client, source="portrait") as (session, obs):
        await eventually(lambda: bool(server.engine.slots))
        await obs.stop(client, session["token"])
        await eventually(lambda: only(server).resting)
        monkeypatch.setattr(Engine, "refusal", lambda engine, steps: "there is no time")
        streamer = Streamer(client, session)
        await streamer.connect()
        error = await streamer.one("error")
        assert (error["code"], error["fatal"]) == ("busy", True)
        await streamer.until(lambda: streamer.code == 1013)
        await streamer.close()
        monkeypatch.undo()
        await streamer.connect()
        await streamer.one("session.created")
        assert not only(server).resting
        await streamer.close()


async def test_a_session_that_rests_gives_way_where_all_places_are_taken(client: Client, server: Running) -> None:
    left, stays = [await client.create(source="portrait", speech="demo") for _ in range(2)]
    viewers = [await watch(client, session) for session in (left, stays)]
    for viewer in viewers:
        await viewer.until(pictures=2)
    assert (await ask(client, "POST", "/v1/sessions", None, json={})).status == 503
    await viewers[0].close()
    await eventually(lambda: any(session.resting for session in server.sessions.all()))
    third = await client.create()
    assert {session.id for session in server.sessions.all()} == {stays["id"], third["id"]}
    assert server.sessions.ended == {GAVE_WAY: 1}
    assert (
        await ask(client, "POST", "/v1/sessions", None, json={})
    ).status == 503  # one that waits is not one that rests
    await viewers[1].close()
