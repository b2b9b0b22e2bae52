"""The WebSocket: speech in, events and video out, and what happens when the line is slow, broken or wrong."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest
from aiohttp import WSServerHandshakeError
from fakes import MARK, Client, FakeModels, babble, bearer, eventually
from stream_client import Streamer, found_in, streaming

from streamer import stream_place
from streamer.clock import SECOND_NS
from streamer.messages import Limits
from streamer.packets import Flags, Kind, Packet
from streamer.protocol import SUBPROTOCOL, TOKEN_PREFIX
from streamer.server import Running

PCM48 = {"encoding": "pcm16", "rate": 48_000, "channels": 1}


async def begin(streamer: Streamer, **output: str) -> None:
    await streamer.send(type="session.update", speech=PCM48, output=output or {"audio": "pcm16"}, event_id="begin")
    await streamer.one("session.updated")


async def test_speech_comes_back_to_the_bit_and_its_client_is_told_when_it_was_heard(client: Client) -> None:
    speech = babble(1.5, seed=3)
    async with streaming(client) as streamer:
        await begin(streamer)
        await streamer.say(speech)
        await streamer.send(type="speech.commit", event_id="all")
        finished = await streamer.one("playback.finished")
        await streamer.until(lambda: found_in(speech, streamer.heard()) >= 0)
    created = streamer.told[0]
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
        await begin(streamer, audio="pcm16", video="h264")
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
        await begin(streamer, audio="none", video="fmp4")
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
        await begin(streamer, audio="pcm16", video="jpeg", form="json")
        await streamer.send(type="speech.append", audio=base64.b64encode(babble(0.5).tobytes()).decode())
        await streamer.until(lambda: {media["kind"] for media in streamer.all("media")} == {"audio", "jpeg"})
        assert not streamer.packets
        picture = next(media for media in streamer.all("media") if media["kind"] == "jpeg")
        sound = next(media for media in streamer.all("media") if media["kind"] == "audio")
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(picture["data"]), np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (256, 256, 3)
    assert len(base64.b64decode(sound["data"])) == 960 * 4


async def test_opus_in_stereo_is_understood(client: Client) -> None:
    from test_voice import opus

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
        await begin(streamer)
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
        await begin(streamer)
        async with client.http.post(client.url + streamer.session["urls"]["clear"], headers=bearer(streamer.session)):
            await streamer.one("playback.finished")
        await streamer.say(babble(0.1))
        dropped = await streamer.one("speech.dropped")
        await streamer.say(babble(0.1), generation=2)
        error = await streamer.one("error")
    assert (dropped["samples"], dropped["generation"]) == (4800, 0)
    assert error["code"] == "wrong_generation"


async def test_speech_for_a_picture_is_heard_beside_it_and_late_speech_is_told(client: Client) -> None:
    word = babble(0.2, seed=6)
    async with streaming(client) as streamer:
        await begin(streamer)
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


async def test_a_cut_loses_nothing_either_way(client: Client) -> None:
    speech = babble(4, seed=5)
    async with streaming(client) as streamer:
        await begin(streamer, audio="pcm16", video="h264")
        for round_ in range(4):
            await streamer.say(speech[round_ * 48_000 : (round_ + 1) * 48_000], pts=round_ * 48_000)
            sent = 1 + (round_ + 1) * 5
            await asyncio.sleep(0.4)
            await streamer.cut()
            await asyncio.sleep(0.3)
            await streamer.connect(resume=streamer.received)
            resumed = await streamer.one("session.resumed", count=round_ + 1)
            missing = sent - resumed["received"]  # of the speech: what had not got through
            lost = (round_ + 1) * 48_000 - missing * 9600
            await streamer.say(speech[lost : (round_ + 1) * 48_000], pts=lost)
        await streamer.send(type="speech.commit")
        await streamer.one("playback.finished")
        await streamer.until(lambda: found_in(speech, streamer.heard()) >= 0)
        pictures = streamer.of(Kind.VIDEO_H264)
    assert not streamer.all("error")
    assert len({picture.pts for picture in pictures}) == len(pictures)
    decoder = av.CodecContext.create("h264", "r")
    decoded = [frame for picture in pictures for frame in decoder.decode(av.Packet(picture.payload))]
    assert len(decoded) >= len(pictures) - 2


async def test_a_stream_that_nobody_resumes_ends_its_session(
    client: Client, server: Running, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_place, "RESUME_WAIT", SECOND_NS // 2)
    async with streaming(client) as streamer:
        await begin(streamer)
        await streamer.cut()
        await eventually(lambda: not server.sessions.all(), seconds=20)
        await streamer.connect(resume=0)
        assert (await streamer.one("error"))["code"] == "unknown_session"
    assert server.sessions.ended == {"its client left": 1}
    await eventually(lambda: all(stream.closed for stream in models.streams), seconds=20)


async def test_a_goodbye_ends_the_session_at_once(client: Client, server: Running) -> None:
    async with streaming(client) as streamer:
        await begin(streamer)
    await eventually(lambda: not server.sessions.all(), seconds=20)
    assert server.sessions.ended == {"its client left": 1}


async def test_another_connection_may_resume_before_the_first_is_known_to_be_dead(client: Client) -> None:
    async with streaming(client) as streamer:
        await begin(streamer)
        with_conflict = Streamer(client, streamer.session)
        await with_conflict.connect()
        assert (await with_conflict.one("error"))["code"] == "conflict"
        await with_conflict.until(lambda: with_conflict.code == 1008)
        await streamer.until(lambda: len(streamer.packets) > 10)
        second = Streamer(client, streamer.session)
        await second.connect(resume=streamer.received)
        await second.one("session.resumed")
        await streamer.until(lambda: streamer.code == 4000)
        await second.until(lambda: len(second.packets) > 10)
        assert not streamer.all("session.ended")
        await second.close()
        await with_conflict.close()


@pytest.mark.parametrize("resume", ["99999", "-1", "x", "", "9" * 40, "٣"])
async def test_what_cannot_be_resumed_is_refused(client: Client, resume: str) -> None:
    async with streaming(client) as streamer:
        second = Streamer(client, streamer.session)
        await second.connect(resume=resume)  # type: ignore[arg-type]
        error = await second.one("error")
        assert (error["code"], error["fatal"]) == ("cannot_resume", True)
        await second.until(lambda: second.code == 1008)
        await second.close()
        await streamer.send(type="ping", data="still here")
        assert (await streamer.one("pong"))["data"] == "still here"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"token": ""}, "not_authorized"),
        ({"token": "x"}, "forbidden"),
        ({"urls": {"stream": "/v1/sessions/nobody/stream"}}, "unknown_session"),
    ],
)
async def test_a_stranger_is_told_so_and_sent_away(client: Client, change: dict[str, object], code: str) -> None:
    session = await client.create(source="portrait", speech="stream")
    streamer = Streamer(client, session | change)
    await streamer.connect()
    error = await streamer.one("error")
    assert (error["code"], error["fatal"]) == (code, True)
    await streamer.until(lambda: streamer.code == 1008)
    await streamer.close()


async def test_a_browser_gives_its_token_as_a_subprotocol(client: Client) -> None:
    session = await client.create(source="portrait", speech="stream")
    protocols = (SUBPROTOCOL, TOKEN_PREFIX + session["token"])
    async with client.http.ws_connect(client.url + session["urls"]["stream"], protocols=protocols) as socket:
        assert socket.protocol == SUBPROTOCOL
        assert (await socket.receive_json())["type"] == "session.created"


async def test_without_the_subprotocol_it_is_a_bad_request(client: Client) -> None:
    session = await client.create(source="portrait", speech="stream")
    with pytest.raises(WSServerHandshakeError) as refused:
        await client.http.ws_connect(client.url + session["urls"]["stream"], headers=bearer(session))
    assert refused.value.status == 400


async def test_a_wrong_message_is_answered_and_the_stream_goes_on(client: Client) -> None:
    async with streaming(client) as streamer:
        await streamer.say(babble(0.1))
        assert (await streamer.one("error"))["code"] == "no_format"
        await streamer.socket.send_str("{")
        assert (await streamer.one("error", count=2))["code"] == "bad_json"
        await begin(streamer)
        await streamer.say(babble(0.1), pts=7)
        assert "need 0" in (await streamer.one("error", count=3))["message"]
        await streamer.send(type="speech.commit", event_id="c")
        nothing = await streamer.one("error", count=4)
        assert (nothing["code"], nothing["event_id"], nothing["fatal"]) == ("bad_speech", "c", False)
        await streamer.send(type="session.update", controls={"gaze": 1, "steps": 3}, event_id="g")
        unknown = await streamer.one("error", count=5)
        assert (unknown["code"], unknown["event_id"]) == ("unknown_control", "g")
        assert "steps" in unknown["message"]
        await streamer.say(babble(0.3))
        await streamer.one("playback.started")


async def test_a_hundred_wrong_messages_in_a_row_are_enough(client: Client) -> None:
    async with streaming(client) as streamer:
        for _ in range(100):
            await streamer.send(type="nonsense")
        await streamer.until(lambda: streamer.code == 1008)
        assert streamer.told[-1]["code"] == "too_many_errors"


async def test_a_message_over_the_limit_closes_with_1009(client: Client) -> None:
    async with streaming(client) as streamer:
        await begin(streamer)
        await streamer.socket.send_bytes(bytes((1 << 20) + 17))
        await streamer.until(lambda: streamer.code == 1009)


async def test_controls_change_what_the_engine_does_and_are_events(client: Client, models: FakeModels) -> None:
    async with streaming(client) as streamer:
        assert streamer.told[0]["controls"] == {
            "face": "largest",
            "mouth_opening": 1.0,
            "on_silence": "close",
            "steps": 4,
        }
        await begin(streamer)
        await streamer.until(lambda: bool(models.streams))
        less = {"face": "0.25,0.5", "mouth_opening": 0.5, "on_silence": "passthrough", "steps": 2}
        await streamer.send(type="session.update", controls=less, event_id="less")
        changed = await streamer.one("session.updated", count=2)
        assert (changed["controls"], changed["event_id"]) == (less, "less")
        await streamer.until(lambda: (models.streams[0].mouth_opening, models.streams[0].steps) == (0.5, 2))
        assert (models.streams[0].face, models.streams[0].on_silence) == ((0.25, 0.5), "passthrough")
        for wrong in ({"mouth_opening": 9}, {"steps": 3, "face": "2,x"}):
            await streamer.send(type="session.update", controls=wrong)
        assert (await streamer.one("error", count=2))["code"] == "bad_control"
        assert len(streamer.all("session.updated")) == 2
        state = await client.state(streamer.session)
    assert [event for event in state["events"] if "controls" in event]


async def test_speech_beyond_what_may_wait_stays_unread_and_none_is_lost(client: Client, server: Running) -> None:
    speech = babble(3, seed=8)
    async with streaming(client) as streamer:
        [session] = server.sessions.all()
        assert session.voice is not None
        session.voice.limits = Limits(pause_ms=300, buffer_ms=1000)
        await begin(streamer)
        sending = asyncio.create_task(streamer.say(speech, step=4800))
        most = 0
        while len(streamer.all("playback.started")) < 1 or not sending.done():
            most = max(most, session.voice.buffered_ms)
            await asyncio.sleep(0.01)
        await sending
        await streamer.send(type="speech.commit")
        await streamer.one("playback.finished")
        await streamer.until(lambda: found_in(speech, streamer.heard()) >= 0)
    assert 300 <= most <= 400
    assert not streamer.all("error")


async def test_one_message_beyond_the_cap_is_an_error_and_never_a_silent_drop(client: Client, server: Running) -> None:
    async with streaming(client) as streamer:
        [session] = server.sessions.all()
        assert session.voice is not None
        session.voice.limits = Limits(pause_ms=1000, buffer_ms=2000)
        await begin(streamer)
        await streamer.say(babble(3), step=3 * 48_000)
        error = await streamer.one("error")
        assert (error["code"], error["fatal"]) == ("speech_overflow", False)
        await streamer.say(babble(0.5))
        await streamer.send(type="speech.commit")
        assert (await streamer.one("speech.committed"))["length"] == 8000


@pytest.mark.parametrize("how", ["delete", "message"])
async def test_the_end_of_a_session_is_told(client: Client, server: Running, how: str) -> None:
    async with streaming(client) as streamer:
        await begin(streamer)
        if how == "delete":
            url = client.url + streamer.session["urls"]["session"]
            async with client.http.delete(url, headers=bearer(streamer.session)) as response:
                assert response.status == 200
        else:
            await streamer.send(type="session.end")
        await streamer.until(lambda: streamer.code == 1000)
        assert streamer.told[-1]["type"] == "session.ended"
    await eventually(lambda: not server.sessions.all(), seconds=20)


async def test_a_server_that_stops_says_so(client: Client, server: Running) -> None:
    async with streaming(client) as streamer:
        await begin(streamer)
        await server.sessions.close()
        await streamer.until(lambda: streamer.code == 1001)
        assert streamer.told[-1] == {"type": "session.ended", "reason": "the server is stopping"}


async def test_ten_streams_one_after_the_other_leave_nothing_behind(client: Client, server: Running) -> None:
    before = len(asyncio.all_tasks())
    for _ in range(10):
        async with streaming(client) as streamer:
            await begin(streamer, audio="pcm16", video="jpeg")
            await streamer.until(lambda: len(streamer.packets) > 3)
        await eventually(lambda: not server.sessions.all(), seconds=20)
    await eventually(lambda: len(asyncio.all_tasks()) <= before + 1, seconds=20)


async def test_noise_on_the_socket_never_ends_the_session(client: Client, server: Running) -> None:
    rng = np.random.default_rng(4)
    async with streaming(client) as streamer:
        await begin(streamer)
        for _ in range(40):
            await streamer.socket.send_bytes(rng.bytes(int(rng.integers(1, 64))))
            await streamer.socket.send_str(json.dumps({"type": "speech.append", "audio": "!" * int(rng.integers(9))}))
            await streamer.send(type="ping")
        await streamer.until(lambda: len(streamer.all("error")) == 80)
        assert server.sessions.all()[0].state == "live"
