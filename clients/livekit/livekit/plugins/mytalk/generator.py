"""Makes an agent's pictures and sound from its speech: the framework's ``VideoGenerator`` over a MyTalk session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import av
from livekit import rtc
from livekit.agents.voice.avatar import AudioSegmentEnd, VideoGenerator
from mytalk_client.avatar import HEARD_RATE, Avatar, Finished, Picture, Sound

FRAMES_PER_SECOND = 25.0


class MyTalkVideoGenerator(VideoGenerator):
    """Turns speech into a talking face, through a session that somebody else opens and closes.

    Pictures come all the time, sound during utterances alone, so that the framework's count of it is the position.
    """

    def __init__(self, avatar: Avatar) -> None:
        self._avatar = avatar
        self._first: Picture | None = None
        self.heard = 0.0  # seconds of the utterance that ended last, by the server's count
        self.heard_before_interrupt = 0.0  # seconds of the one that was interrupted last

    async def size(self) -> tuple[int, int]:
        """Returns width and height of the pictures, once the first is there. Raises what ended the session."""
        while self._first is None:
            item = await anext(self._avatar)
            if isinstance(item, Picture):
                self._first = item
        return self._first.frame.width, self._first.frame.height

    async def push_audio(self, frame: rtc.AudioFrame | AudioSegmentEnd) -> None:
        """Says more of the utterance, or ends it. Waits while more than 10 s are ahead."""
        if isinstance(frame, AudioSegmentEnd):
            await self._avatar.end_utterance()
        else:
            await self._avatar.push(bytes(frame.data), rate=frame.sample_rate, channels=frame.num_channels)

    async def clear_buffer(self) -> None:
        """Silences what was not heard yet, and waits for the server's word on how far it got."""
        self.heard_before_interrupt = await self._avatar.interrupt()

    def __aiter__(self) -> AsyncIterator[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd]:
        return self._frames()

    async def _frames(self) -> AsyncIterator[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd]:
        if self._first is not None:
            yield _picture(self._first.frame)
        async for item in self._avatar:
            if isinstance(item, Picture):
                yield _picture(item.frame)
            elif isinstance(item, Sound):
                yield rtc.AudioFrame(item.pcm, HEARD_RATE, 1, len(item.pcm) // 2)
            elif isinstance(item, Finished) and not item.interrupted:
                self.heard = item.seconds
                yield AudioSegmentEnd()


def _picture(frame: av.VideoFrame) -> rtc.VideoFrame:
    """Returns the picture as LiveKit takes it: the three planes without padding."""
    data = frame.to_ndarray(format="yuv420p").tobytes()
    return rtc.VideoFrame(frame.width, frame.height, rtc.VideoBufferType.I420, data)
