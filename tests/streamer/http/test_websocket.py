"""The WebSocket: speech in, events, sound and video out, and controls."""

from __future__ import annotations

import asyncio
import base64
import io
from dataclasses import replace
from itertools import pairwise

import av
import cv2
import numpy as np

from mytalk.media_time import FRAME_SAMPLES
from mytalk.stream_options import StreamControls
from streamer.protocol.packets import Flags, Kind, Packet
from streamer.session.control_fields import written_controls
from tests.streamer.support.fake_models import MARK, FakeModels
from tests.streamer.support.http_client import Client, bearer
from tests.streamer.support.sounds import babble
from tests.streamer.support.stream_client import found_in, streaming


async def test_speech_comes_back_to_the_bit_and_its_client_learns_when_it_was_heard(client: Client) -> None:
    speech = babble(1.5, seed=3)
    async with streaming(client) as streamer:
        await streamer.begin()
        await streamer.say(speech)
        await streamer.send(type="speech.commit", event_id="all")
        finished = await streamer.one("playback.finished")
        await streamer.until(lambda: found_in(speech, streamer.heard()) >= 0)
    created = streamer.messages[0]
    assert created["type"] == "session.created"
    assert "synthetic" in created["disclosure"]
    assert created["limits"]["resume_ms"] == 10_000
    assert (await streamer.one("session.updated"))["event_id"] == "begin"
    committed = await streamer.one("speech.committed")
    assert (committed["utterance"], committed["length"], committed["event_id"]) == (1, 24_000, "all")
    started = await streamer.one("playback.started")
    heard_at = streamer.of(Kind.AUDIO_PCM16)[0].pts + found_in(speech, streamer.heard()) // 3
    assert 0 <= heard_at - started["pts"] < 320
    assert (finished["position"], finished["interrupted"], finished["utterance"]) == (24_000, False, 1)


async def test_h264_comes_dubbed_with_its_place_in_time(client: Client) -> None:
    async with streaming(client) as streamer:
        await streamer.begin(audio="pcm16", video="h264")
        await streamer.say(babble(1))
        await streamer.until(lambda: len(streamer.of(Kind.VIDEO_H264)) >= 40)
        pictures, sounds = streamer.of(Kind.VIDEO_H264), streamer.of(Kind.AUDIO_PCM16)
    assert pictures[0].flags is Flags.KEYFRAME
    assert pictures[0].payload.startswith(b"\0\0\0\1")
    assert all(later.pts > one.pts for one, later in pairwise(pictures))
    assert abs(pictures[-1].pts - sounds[-1].pts) < 16_000
    decoder = av.CodecContext.create("h264", "r")
    decoded = [frame for picture in pictures for frame in decoder.decode(av.Packet(picture.payload))]
    assert len(decoded) >= len(pictures) - 2
    x0, y0, x1, y1 = MARK
    mouths = [frame.to_ndarray(format="gray")[y0:y1, x0:x1].mean() for frame in decoded]
    assert max(mouths[5:]) > 200


async def test_fragmented_mp4_carries_picture_and_sound_from_any_moment_on(client: Client) -> None:
    speech = babble(1, seed=3)
    async with streaming(client) as streamer:
        await streamer.begin(audio="none", video="fmp4")
        await streamer.say(speech)
        await streamer.send(type="speech.commit")
        await streamer.one("playback.finished")
        await streamer.until(lambda: len(streamer.packets) > 120)
        segments = streamer.of(Kind.FMP4)
    assert len(segments) == len(streamer.packets)
    assert [segment.flags for segment in segments[:2]] == [Flags.INIT, Flags.KEYFRAME]
    file = io.BytesIO(b"".join(segment.payload for segment in segments))
    with av.open(file) as film:
        sounds = [frame.to_ndarray()[0] for frame in film.decode(audio=0)]
    file.seek(0)
    with av.open(file) as film:
        pictures = [(float(frame.pts * frame.time_base), frame.width) for frame in film.decode(video=0)]
    assert np.abs(np.concatenate(sounds)).max() > 0.2
    assert len(pictures) > 20
    assert {width for _, width in pictures} == {256}
    assert abs(pictures[0][0] - segments[1].pts / 16_000) < 0.05


async def test_jpegs_and_sound_come_as_json_where_binary_cannot_be_read(client: Client) -> None:
    async with streaming(client) as streamer:
        await streamer.begin(audio="pcm16", video="jpeg", form="json")
        await streamer.send(type="speech.append", audio=base64.b64encode(babble(0.5).tobytes()).decode())
        await streamer.until(lambda: {media["kind"] for media in streamer.all("media")} == {"audio", "jpeg"})
        assert not streamer.packets
        picture = next(media for media in streamer.all("media") if media["kind"] == "jpeg")
        sound = next(media for media in streamer.all("media") if media["kind"] == "audio")
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(picture["data"]), np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (256, 256, 3)
    assert len(base64.b64decode(sound["data"])) == 960 * 4


async def test_opus_in_stereo_is_understood(client: Client) -> None:
    from tests.streamer.support.sounds import opus

    async with streaming(client) as streamer:
        speech = {"encoding": "opus", "rate": 48_000, "channels": 2}
        await streamer.send(type="session.update", speech=speech, output={"audio": "pcm16"})
        for packet in opus(babble(1)):
            await streamer.send(type="speech.append", audio=base64.b64encode(packet).decode())
        await streamer.send(type="speech.commit")
        finished = await streamer.one("playback.finished")
        assert finished["position"] >= 16_000
        assert not streamer.all("error")
        assert np.abs(streamer.heard()).max() > 5000


async def test_a_barge_in_silences_what_was_said_and_the_next_speech_is_whole(client: Client) -> None:
    first, second = babble(20, seed=1), babble(1, seed=2)
    async with streaming(client) as streamer:
        await streamer.begin()
        await streamer.say(first)
        await streamer.one("playback.started")
        await asyncio.sleep(0.3)
        await streamer.send(type="speech.clear", event_id="stop")
        stopped = await streamer.one("playback.finished")
        await streamer.say(second, generation=1)
        await streamer.send(type="speech.commit")
        await streamer.one("playback.finished", count=2)
        await streamer.until(lambda: found_in(second, streamer.heard()) >= 0)
        late = [sound for sound in streamer.of(Kind.AUDIO_PCM16) if sound.generation == 0]
    assert (stopped["interrupted"], stopped["generation"], stopped["event_id"]) == (True, 1, "stop")
    assert 0 < stopped["position"] < 10 * 16_000
    heard_first = np.frombuffer(b"".join(sound.payload for sound in late), "<i2")[::2]
    assert len(np.flatnonzero(heard_first)) < 10 * 48_000
    assert found_in(second, streamer.heard()) > 0


async def test_speech_of_an_old_generation_is_not_taken_and_that_is_said(client: Client) -> None:
    async with streaming(client) as streamer:
        await streamer.begin()
        async with client.http.post(client.url + streamer.session["urls"]["clear"], headers=bearer(streamer.session)):
            await streamer.one("playback.finished")
        await streamer.say(babble(0.1))
        dropped = await streamer.one("speech.dropped")
        await streamer.say(babble(0.1), generation=2)
        error = await streamer.one("error")
    assert (dropped["samples"], dropped["generation"]) == (4800, 0)
    assert error["code"] == "wrong_generation"


async def test_speech_for_a_picture_is_heard_beside_it_and_late_speech_is_reported(client: Client) -> None:
    word = babble(0.2, seed=6)
    async with streaming(client) as streamer:
        await streamer.begin()
        await streamer.until(lambda: len(streamer.packets) > 20)
        at = streamer.packets[-1].pts + 3 * 16_000
        packet = Packet(Kind.SPEECH_PCM16, 0, at, word.tobytes(), Flags.TIMED)
        await streamer.socket.send_bytes(packet.to_bytes())
        await streamer.send(type="speech.append", audio=base64.b64encode(word.tobytes()).decode(), at=0)
        late = await streamer.one("speech.late")
        await streamer.until(lambda: found_in(word, streamer.heard()) >= 0)
        heard_at = streamer.of(Kind.AUDIO_PCM16)[0].pts * 3 + found_in(word, streamer.heard())
    assert heard_at == 3 * at
    assert (late["dropped_ms"], late["pts"]) == (200, 0)
    assert not streamer.all("playback.started")


async def test_controls_change_what_the_engine_does_and_are_events(client: Client, models: FakeModels) -> None:
    async with streaming(client) as streamer:
        begun = streamer.messages[0]["controls"]
        assert begun == written_controls(StreamControls(steps=4))
        await streamer.begin()
        await streamer.until(lambda: bool(models.streams))
        less = {"face": "0.25,0.5", "mouth_opening": 0.5, "on_silence": "passthrough", "seed": 7, "steps": 2}
        await streamer.send(type="session.update", controls=less, event_id="less")
        changed = await streamer.one("session.updated", count=2)
        assert (changed["controls"], changed["event_id"]) == (begun | less, "less")
        assert changed["pts"] % FRAME_SAMPLES == 0
        await streamer.until(lambda: models.streams[0].controls.steps == 2)
        wanted = StreamControls(steps=2, seed=7, mouth_opening=0.5, on_silence="passthrough", face=(0.25, 0.5))
        assert models.streams[0].controls == replace(wanted, since=changed["pts"])
        for wrong in ({"mouth_opening": 9}, {"steps": 3, "face": "2,x"}, {"seed": -1}):
            await streamer.send(type="session.update", controls=wrong)
        assert (await streamer.one("error", count=3))["code"] == "bad_control"
        assert len(streamer.all("session.updated")) == 2
        state = await client.state(streamer.session)
    assert [event for event in state["events"] if "controls" in event]
