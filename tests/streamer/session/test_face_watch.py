"""A lost face is reported once, and that it is back: to the client, in the session's state and in the metrics."""

from __future__ import annotations

import pytest

from streamer.clock import MILLISECOND_NS, SECOND_NS, FakeClock
from streamer.protocol.events import Events
from streamer.session.face_watch import FOUND_WAIT, LOST_WAIT, FaceWatch
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client
from tests.streamer.support.stream_client import streaming
from tests.streamer.support.waiting import eventually

TICK = 20 * MILLISECOND_NS


def reported(*stretches: tuple[str, int]) -> list[dict[str, object]]:
    """Returns what is reported for a face of these statuses, each for that long, one after the other."""
    events, now = Events(FakeClock()), 0
    watch = FaceWatch(events)
    for sight, nanoseconds in stretches:
        for _ in range(nanoseconds // TICK):
            watch.look(sight, now)  # type: ignore[arg-type]
            now += TICK
    return [{name: value for name, value in event.items() if name != "at_ms"} for event in events.to_json()]


@pytest.mark.parametrize("reason", ["none", "small", "turned"])
def test_a_lost_face_is_reported_once_and_that_it_is_back(reason: str) -> None:
    minute = 60 * SECOND_NS
    assert reported(("seen", SECOND_NS), (reason, minute), ("seen", minute)) == [
        {"type": "face.lost", "reason": reason},
        {"type": "face.found", "lost_ms": 60_000},
    ]


def test_a_hand_that_passes_and_a_glimpse_are_not_reported() -> None:
    hand = ("none", LOST_WAIT - SECOND_NS // 2)
    assert reported(*[("seen", SECOND_NS), hand] * 20) == []
    glimpse = ("seen", FOUND_WAIT - 4 * TICK)
    assert reported(*[("none", 3 * SECOND_NS), glimpse] * 20) == [{"type": "face.lost", "reason": "none"}]


def test_the_newest_reason_is_reported_and_an_unknown_status_is_not() -> None:
    assert reported(("none", SECOND_NS), ("turned", 2 * SECOND_NS)) == [{"type": "face.lost", "reason": "turned"}]
    assert reported(("none", SECOND_NS), ("unknown", 60 * SECOND_NS)) == []


async def test_client_state_and_metrics_say_it(client: Client, models: FakeModels) -> None:
    async with streaming(client) as streamer:
        await streamer.begin(audio="pcm16")
        await eventually(lambda: bool(models.streams))
        models.streams[0].face_status = "small"
        assert (await streamer.one("face.lost"))["reason"] == "small"
        state = await client.state(streamer.session)
        assert state["stats"]["face"] == "small"
        assert "no_face" in state["stats"]["pictures"]
        models.streams[0].face_status = "seen"
        assert (await streamer.one("face.found"))["lost_ms"] > 1000
        assert [event["type"] for event in (await client.state(streamer.session))["events"]].count("face.lost") == 1
        figures = await client.figures()
        assert figures['mytalk_events_total{type="face.lost"}'] == 1
        assert 'mytalk_pictures_total{outcome="no_face"}' in figures
