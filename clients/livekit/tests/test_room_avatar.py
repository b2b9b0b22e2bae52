"""An avatar in a room speaks what the agent says, stops when it is interrupted, and leaves when the agent does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
import pytest
from livekit import rtc
from livekit.agents.voice.avatar import DataStreamAudioOutput
from livekit.agents.voice.io import PlaybackFinishedEvent
from livekit.plugins.mytalk.room import RoomAvatar, RoomRequest
from livekit.plugins.mytalk.runner import VIDEO_BITS_PER_SECOND, AvatarRunner, Runner
from local_room import LocalRoom, Publication
from mytalk_client import ClientError
from streamer_process import LIMIT_S, RATE, tone

AVATAR = "mytalk-avatar"


@dataclass
class Talk:
    """An agent's side of one avatar."""

    room: LocalRoom
    output: DataStreamAudioOutput
    task: asyncio.Task[None]
    finished: asyncio.Queue[PlaybackFinishedEvent] = field(default_factory=asyncio.Queue)

    async def say(self, seconds: float) -> None:
        """Captures speech as a TTS makes it, 100 ms at a time, and ends the segment."""
        pcm = tone(seconds)
        step = RATE // 10 * 2
        for start in range(0, len(pcm), step):
            piece = pcm[start : start + step]
            await self.output.capture_frame(rtc.AudioFrame(piece, RATE, 1, len(piece) // 2))
        self.output.flush()

    async def end(self) -> PlaybackFinishedEvent:
        return await asyncio.wait_for(self.finished.get(), LIMIT_S)

    async def published(self, name: str) -> Publication:
        publications = self.room.remote_participants[AVATAR].track_publications
        published = asyncio.Event()
        self.room.on("track_published", lambda *_: published.set())
        async with asyncio.timeout(LIMIT_S):
            while name not in publications:
                published.clear()
                await published.wait()
        return publications[name]

    async def until_sound(self) -> None:
        """Waits until the room hears speech."""
        stream = rtc.AudioStream.from_track(track=(await self.published("avatar_audio")).track)
        async with asyncio.timeout(LIMIT_S):
            async for event in stream:
                if np.abs(np.frombuffer(event.frame.data, np.int16)).max() > 1_000:
                    break
        await stream.aclose()


@asynccontextmanager
async def talking(server: str, agent: LocalRoom) -> AsyncIterator[Talk]:
    room = agent._hub.room(AVATAR, rtc.ParticipantKind.PARTICIPANT_KIND_AGENT)
    avatar = RoomAvatar(RoomRequest("ws://local", "token", "agent"), server, room=lambda: room)  # type: ignore[arg-type, return-value]
    task = asyncio.create_task(avatar.run())
    await asyncio.wait_for(avatar.joined(task), LIMIT_S)
    output = DataStreamAudioOutput(
        agent,  # type: ignore[arg-type]
        destination_identity=AVATAR,
        sample_rate=RATE,
        wait_remote_track=rtc.TrackKind.KIND_VIDEO,
        wait_playback_start=True,
        clear_buffer_timeout=None,
    )
    talk = Talk(agent, output, task)
    output.on("playback_finished", talk.finished.put_nowait)
    try:
        yield talk
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, ClientError):
            await task


async def test_a_segment_is_heard_and_seen_and_its_end_has_the_right_position(server: str, agent: LocalRoom) -> None:
    async with talking(server, agent) as talk:
        await talk.say(1.2)
        video = rtc.VideoStream.from_track(track=(await talk.published("avatar_video")).track)
        picture = (await asyncio.wait_for(anext(video), LIMIT_S)).frame
        await video.aclose()
        ended = await talk.end()
    assert (picture.width, picture.height) == (512, 512)
    assert ended.playback_position == pytest.approx(1.2, abs=0.001)
    assert not ended.interrupted


async def test_the_picture_is_published_with_what_a_face_needs(server: str, agent: LocalRoom) -> None:
    async with talking(server, agent) as talk:
        options = (await talk.published("avatar_video")).options
    assert options.video_encoding.max_bitrate == VIDEO_BITS_PER_SECOND
    assert options.video_encoding.max_framerate == 25
    assert not options.simulcast


async def test_two_interrupts_each_end_with_a_position(server: str, agent: LocalRoom) -> None:
    async with talking(server, agent) as talk:
        for _ in range(2):
            await talk.say(4)
            await talk.until_sound()
            talk.output.clear_buffer()
            ended = await talk.end()
            assert ended.interrupted
            assert 0 < ended.playback_position < 4
        await talk.say(0.5)
        ended = await talk.end()
    assert ended.playback_position == pytest.approx(0.5, abs=0.001)
    assert not ended.interrupted


async def test_everything_ends_when_the_agent_leaves(server: str, agent: LocalRoom) -> None:
    async with talking(server, agent) as talk:
        await talk.say(4)
        await talk.until_sound()
        await agent.disconnect()
        await asyncio.wait_for(asyncio.shield(talk.task), LIMIT_S)
    assert AVATAR not in agent._hub.rooms


async def test_a_server_that_refuses_is_reported_before_the_room_is_joined(server: str, agent: LocalRoom) -> None:
    asked = RoomRequest("ws://local", "token", "agent", options={"profile": "none such"})
    room = agent._hub.room(AVATAR, rtc.ParticipantKind.PARTICIPANT_KIND_AGENT)
    avatar = RoomAvatar(asked, server, room=lambda: room)  # type: ignore[arg-type, return-value]
    task = asyncio.create_task(avatar.run())
    with pytest.raises(ClientError, match="profile"):
        await asyncio.wait_for(avatar.joined(task), LIMIT_S)
    assert AVATAR not in agent._hub.rooms


def test_what_the_runner_overrides_is_there() -> None:
    for name in ("_publish_track", "_on_clear_buffer"):
        assert getattr(AvatarRunner, name) is not getattr(Runner, name)
