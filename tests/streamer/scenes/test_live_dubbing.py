"""The scene of live dubbing: a camera by WHIP, another language by WebSocket, viewers by WHEP."""

from __future__ import annotations

from tests.streamer.support.fake_models import MARK, FakeModels
from tests.streamer.support.http_client import Client
from tests.streamer.support.sounds import babble, likeness
from tests.streamer.support.stream_client import Streamer
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.whip_clients import Obs, loud, numbers_seen, watch


async def test_viewers_see_the_camera_speak_what_was_streamed_and_hear_nothing_of_its_microphone(
    client: Client, models: FakeModels
) -> None:
    session = await client.create(source="live", speech="stream")
    obs = Obs(Microphone(babble(120, seed=1)), Camera())  # its own speech is loud, and another
    await obs.start(client, session["urls"]["whip"], session["token"])
    streamer = Streamer(client, session)
    await streamer.connect()
    await streamer.one("session.created")
    viewer = await watch(client, session)
    await viewer.until(pictures=10, sounds=50)
    assert abs(viewer.heard()).max() < 50  # nobody has streamed anything yet
    dubbed = babble(2.0, seed=2)
    speech = {"encoding": "pcm16", "rate": 48_000, "channels": 1}
    await streamer.send(type="session.update", speech=speech, event_id="begin")
    await streamer.one("session.updated")
    await streamer.say(dubbed)
    await streamer.send(type="speech.commit", event_id="all")
    finished = await streamer.one("playback.finished", seconds=60)
    assert (finished["position"], finished["interrupted"]) == (32_000, False)
    await loud(viewer)
    await viewer.until(sounds=len(viewer.sounds) + 25)
    assert likeness(dubbed, viewer.heard()) > 0.8
    numbers = await numbers_seen(viewer, different=10)
    assert numbers == sorted(numbers)
    x0, y0, x1, y1 = MARK
    box = (slice(y0 + 8, y1 - 8), slice(x0 + 8, x1 - 8))
    assert max(frame.to_ndarray(format="rgb24")[box].mean() for _, frame in viewer.pictures) > 240
    assert models.streams[0].tracked > 10
    await streamer.close()
    await viewer.close()
    await obs.stop(client, session["token"])
