"""A worker takes rooms over HTTP, refuses what is wrong with a word, and an agent's session finds it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from livekit import rtc
from livekit.agents import AgentSession
from livekit.agents.voice.avatar import DataStreamAudioOutput
from livekit.agents.voice.transcription.synchronizer import TranscriptSynchronizer
from livekit.plugins import mytalk
from livekit.plugins.mytalk import worker as worker_module
from livekit.plugins.mytalk.room import BadRequestError, RoomRequest
from livekit.plugins.mytalk.worker import Worker, serving
from local_room import LocalRoom
from streamer_process import LIMIT_S, RATE, tone

KEYS = {
    "livekit_url": "ws://local",
    "livekit_api_key": "key",
    "livekit_api_secret": "a secret of thirty-two bytes or so",
}


@pytest.fixture
async def worker(server: str, agent: LocalRoom) -> AsyncIterator[tuple[Worker, str]]:
    def room() -> Any:
        return agent._hub.room(mytalk.avatar.IDENTITY, rtc.ParticipantKind.PARTICIPANT_KIND_AGENT)

    worker = Worker(server, worker_key="a key", room=room)
    async with serving(worker, "127.0.0.1", 0) as url:
        yield worker, url


async def post(url: str, body: bytes, key: str | None = "a key", **headers: str) -> tuple[int, dict[str, Any]]:
    given = {**headers, **({"Authorization": f"Bearer {key}"} if key is not None else {})}
    async with aiohttp.ClientSession() as http, http.post(f"{url}/v1/rooms", data=body, headers=given) as response:
        return response.status, await response.json()


async def test_an_agents_session_speaks_through_a_worker(worker: tuple[Worker, str], agent: LocalRoom) -> None:
    session: AgentSession[Any] = AgentSession()
    avatar = mytalk.AvatarSession(worker_url=worker[1], worker_key="a key")
    await avatar.start(session, agent, **KEYS)  # type: ignore[arg-type]
    assert "synthetic" in avatar.disclosure
    await asyncio.wait_for(avatar.wait_for_join(), LIMIT_S)
    assert len(worker[0].rooms) == 1
    output = session.output.audio
    assert isinstance(output, DataStreamAudioOutput)
    finished: asyncio.Queue[Any] = asyncio.Queue()
    output.on("playback_finished", finished.put_nowait)
    await output.capture_frame(rtc.AudioFrame(tone(0.6), RATE, 1, round(0.6 * RATE)))
    output.flush()
    ended = await asyncio.wait_for(finished.get(), LIMIT_S)
    assert (ended.playback_position, ended.interrupted) == (pytest.approx(0.6, abs=0.001), False)
    await avatar.aclose()
    assert not worker[0].rooms
    assert mytalk.avatar.IDENTITY not in agent.remote_participants


async def test_an_agent_changes_its_face(worker: tuple[Worker, str], agent: LocalRoom) -> None:
    avatar = mytalk.AvatarSession(worker_url=worker[1], worker_key="a key")
    with pytest.raises(mytalk.MyTalkError, match="not been started"):
        await avatar.change_face()
    await avatar.start(AgentSession(), agent, **KEYS)  # type: ignore[arg-type]
    await asyncio.wait_for(avatar.wait_for_join(), LIMIT_S)
    await avatar.change_face()  # the server's own
    with pytest.raises(mytalk.MyTalkError, match="no folder of faces"):
        await avatar.change_face("clerk.png")
    with pytest.raises(mytalk.MyTalkError, match="portrait"):
        await avatar.change_face(b"no picture")
    assert len(worker[0].rooms) == 1
    await avatar.aclose()
    with pytest.raises(mytalk.MyTalkError, match="unknown_room"):
        await avatar.change_face()


async def test_the_transcript_of_an_interrupted_segment_ends_where_its_speech_did(
    worker: tuple[Worker, str], agent: LocalRoom
) -> None:
    """The framework cuts the text by the position that the avatar answers with."""
    session: AgentSession[Any] = AgentSession()
    avatar = mytalk.AvatarSession(worker_url=worker[1], worker_key="a key")
    await avatar.start(session, agent, **KEYS)  # type: ignore[arg-type]
    assert session.output.audio is not None
    synchronizer = TranscriptSynchronizer(next_in_chain_audio=session.output.audio, next_in_chain_text=None)
    audio, words = synchronizer.audio_output, synchronizer.text_output
    started, finished = asyncio.Event(), asyncio.Queue[Any]()
    audio.on("playback_started", lambda _: started.set())
    audio.on("playback_finished", finished.put_nowait)
    text = " ".join(["something"] * 40)
    await words.capture_text(text)
    words.flush()
    await audio.capture_frame(rtc.AudioFrame(tone(8), RATE, 1, 8 * RATE))
    audio.flush()
    await asyncio.wait_for(started.wait(), LIMIT_S)
    await asyncio.sleep(0.5)  # some of it is heard
    audio.clear_buffer()
    ended = await asyncio.wait_for(finished.get(), LIMIT_S)
    assert ended.interrupted
    assert 0 < ended.playback_position < 8
    assert text.startswith(ended.synchronized_transcript.strip())
    assert len(ended.synchronized_transcript) < len(text)
    await synchronizer.aclose()
    await avatar.aclose()


async def test_what_is_wrong_is_refused_with_a_word(
    worker: tuple[Worker, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = worker
    good = json.dumps({"url": "ws://local", "token": "token"}).encode()
    assert (await post(url, good, key=None))[0] == 401
    assert (await post(url, good, key="another"))[0] == 401
    status, body = await post(url, b"{")
    assert (status, body["error"]["code"]) == (400, "bad_request")
    asked = json.dumps({"url": "ws://local", "token": "token", "options": {"profile": "none such"}}).encode()
    status, body = await post(url, asked)
    assert status == 400
    assert "profile" in body["error"]["message"]
    monkeypatch.setattr(worker_module, "ROOMS", 0)
    assert (await post(url, good))[0] == 503


async def test_a_web_page_may_not_call_a_worker_without_a_key() -> None:
    async with serving(Worker("http://localhost:9"), "127.0.0.1", 0) as url:
        assert (await post(url, b"{}", key=None, Origin="https://elsewhere"))[0] == 403


async def test_a_server_that_is_not_there_is_reported_to_the_agent(agent: LocalRoom) -> None:
    async with serving(Worker("http://127.0.0.1:9"), "127.0.0.1", 0) as url:
        avatar = mytalk.AvatarSession(worker_url=url)
        with pytest.raises(mytalk.MyTalkError, match="not_joined"):
            await avatar.start(AgentSession(), agent, **KEYS)  # type: ignore[arg-type]
        await avatar.aclose()


def test_other_machines_need_a_key(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("MYTALK_WORKER_KEY", raising=False)
    assert worker_module.main(["--host", "0.0.0.0"]) == 1
    assert "MYTALK_WORKER_KEY" in capsys.readouterr().err


def test_a_request_survives_its_journey() -> None:
    asked = RoomRequest("wss://x", "t", "agent", b"\x89PNG", {"who": "me"}, {"seed": 3})
    assert RoomRequest.parse(json.dumps(asked.to_json()).encode()) == asked
    named = RoomRequest("wss://x", "t", portrait="clerk.png")
    assert RoomRequest.parse(json.dumps(named.to_json()).encode()) == named


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"token": "t"}, "url"),
        ({"url": "file:///etc/passwd", "token": "t"}, "url"),
        ({"url": "ws://x"}, "token"),
        ({"url": "ws://x", "token": "t", "portrait": "?"}, "portrait"),
        ({"url": "ws://x", "token": "t", "portrait": 3}, "portrait"),
        ({"url": "ws://x", "token": "t", "portrait_name": 3}, "portrait_name"),
        ({"url": "ws://x", "token": "t", "options": []}, "options"),
        ({"url": "ws://x", "token": "t", "colour": "red"}, "colour"),
        ([], "object"),
    ],
)
def test_a_request_that_is_wrong_names_the_field(body: object, word: str) -> None:
    with pytest.raises(BadRequestError, match=word):
        RoomRequest.parse(json.dumps(body).encode())


def test_a_portrait_is_carried_whole() -> None:
    body = {"url": "ws://x", "token": "t", "portrait": base64.b64encode(bytes(range(256))).decode()}
    assert RoomRequest.parse(json.dumps(body).encode()).portrait == bytes(range(256))
