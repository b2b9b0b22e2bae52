"""Stands where a pipeline's video service stands: a TTS's sound in, the face that speaks it and its sound out, in sync.

::

    pipeline = Pipeline([transport.input(), stt, llm, tts, MyTalkVideoService(), transport.output()])
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import AsyncExitStack

from mytalk_client import ClientError
from mytalk_client.avatar import HEARD_RATE, Avatar, Finished, Picture, Sound, open_avatar
from mytalk_client.local_server import local_server
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.ai_service import AIService
from pipecat.services.settings import ServiceSettings

END_SECONDS = 5.0
"""Beyond the speech that waits: the longest that the end of a pipeline waits until all was heard."""


class MyTalkVideoService(AIService):
    """Speaks with a face.

    ``url``: of a MyTalk streamer, with ``api_key`` where it wants one; without, one is started on this machine for as
    long as the pipeline lives, which takes some seconds and needs the package ``mytalk-streamer``. ``portrait``: the
    bytes of a picture of a face, with ``consent`` (who, when, purpose) of the person, or the name of a portrait or clip
    in the server's folder of faces; the server's own face without.
    ``options``: of its session, such as ``profile``.

    Pictures leave all the time, RGB, at 25 a second; sound while it speaks, at 48 kHz. ``TTSStoppedFrame`` leaves when
    the utterance was heard. A failure is an ``ErrorFrame``, and speech then passes through without a face.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        api_key: str | None = None,
        portrait: bytes | str | None = None,
        consent: Mapping[str, str] | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(settings=ServiceSettings(model=None))
        self._url, self._api_key, self._portrait, self._consent = url, api_key, portrait, consent
        self._options = dict(options or {})
        self._opened = AsyncExitStack()
        self._avatar: Avatar | None = None
        self._showing: asyncio.Task[None] | None = None
        self._contexts: deque[str | None] = deque()  # of utterances that were not heard to their end
        self._heard = asyncio.Event()  # no utterance waits
        self._heard.set()
        self.disclosure = ""  # to be shown to whoever sees the pictures

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]  # as the framework's own do
        """Opens the session, before the pipeline starts."""
        await super().setup(setup)
        of_face = {"portrait": self._portrait, "consent": self._consent}
        try:
            url = self._url or await self._opened.enter_async_context(local_server())
            opening = open_avatar(url, self._api_key, **of_face, **self._options)  # type: ignore[arg-type]
            self._avatar = await self._opened.enter_async_context(opening)
        except ClientError as error:
            await self._opened.aclose()
            await self.push_error(error_msg=f"no avatar: {error}", exception=error)
            return
        self.disclosure = self._avatar.disclosure

    async def change_face(self, portrait: bytes | str | None = None, consent: Mapping[str, str] | None = None) -> None:
        """Shows another face, crossfaded, while speech goes on: ``portrait`` and ``consent`` as at the beginning.
        Raises ``ClientError``."""
        if self._avatar is None:
            raise ClientError("there is no face (the service has not started, or its face is gone)")
        await self._avatar.change_face(portrait, consent)

    async def start(self, frame: StartFrame) -> None:
        """Begins to show the face."""
        await super().start(frame)
        if self._avatar is not None:
            self._showing = self.create_task(self._show(self._avatar))

    async def stop(self, frame: EndFrame) -> None:
        """Ends once all that was said has been heard, or stands still for ``END_SECONDS``."""
        await super().stop(frame)
        if self._avatar is not None:
            try:
                await self._avatar.end_utterance()
                async with asyncio.timeout(self._avatar.session.ahead_ms / 1000 + END_SECONDS):
                    await self._heard.wait()
            except (ClientError, TimeoutError) as error:
                await self.push_error(error_msg=f"not all was heard: {error}", exception=error)
        await self._close()

    async def cancel(self, frame: CancelFrame) -> None:
        """Ends at once."""
        await super().cancel(frame)
        await self._close()

    async def cleanup(self) -> None:
        """Ends what a pipeline that failed has left."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        await self._close()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Takes speech and interrupts; passes on everything else."""
        await super().process_frame(frame, direction)
        if self._avatar is None or direction != FrameDirection.DOWNSTREAM:
            await self.push_frame(frame, direction)
        elif isinstance(frame, TTSAudioRawFrame):
            await self._speak(self._avatar, frame)
        elif isinstance(frame, TTSStoppedFrame):
            await self._end_utterance(self._avatar, frame)
        elif isinstance(frame, InterruptionFrame):  # what comes behind need not wait for the server's word
            await asyncio.gather(self._interrupt(self._avatar), self.push_frame(frame, direction))
        else:
            await self.push_frame(frame, direction)

    # --- speaking

    async def _speak(self, avatar: Avatar, frame: TTSAudioRawFrame) -> None:
        if self._heard.is_set() or not self._contexts or self._contexts[-1] != frame.context_id:
            await self._next_utterance(avatar, frame.context_id)
        try:
            await avatar.push(frame.audio, rate=frame.sample_rate, channels=frame.num_channels)
        except (ClientError, ValueError) as error:
            await self.push_error(error_msg=f"not said: {error}", exception=error)

    async def _next_utterance(self, avatar: Avatar, context: str | None) -> None:
        """Ends an utterance that another begins without a stop between them."""
        if self._contexts:
            await avatar.end_utterance()
        self._contexts.append(context)
        self._heard.clear()

    async def _end_utterance(self, avatar: Avatar, frame: TTSStoppedFrame) -> None:
        if not self._contexts:  # nothing was said: there is no end to wait for
            await self.push_frame(frame)
            return
        try:
            await avatar.end_utterance()
        except ClientError as error:
            await self.push_error(error_msg=f"not said: {error}", exception=error)

    async def _interrupt(self, avatar: Avatar) -> None:
        self._contexts.clear()
        self._heard.set()
        try:
            await avatar.interrupt()
        except ClientError as error:
            await self.push_error(error_msg=f"not interrupted: {error}", exception=error)

    # --- showing

    async def _show(self, avatar: Avatar) -> None:
        try:
            async for item in avatar:
                if isinstance(item, Picture):
                    await self.push_frame(_image(item, speaking=not self._heard.is_set()))
                elif isinstance(item, Sound):
                    context = self._contexts[0] if self._contexts else None
                    await self.push_frame(TTSAudioRawFrame(item.pcm, HEARD_RATE, 1, context_id=context))
                elif isinstance(item, Finished) and not item.interrupted and self._contexts:
                    await self.push_frame(TTSStoppedFrame(context_id=self._contexts.popleft()))
                    if not self._contexts:
                        self._heard.set()
        except ClientError as error:
            self._avatar = None
            self._heard.set()
            await self.push_error(error_msg=f"the face is gone: {error}", exception=error)

    async def _close(self) -> None:
        showing, self._showing, self._avatar = self._showing, None, None
        if showing is not None:
            await self.cancel_task(showing)
        await self._opened.aclose()


def _image(item: Picture, *, speaking: bool) -> OutputImageRawFrame:
    """Returns a picture as transports take it; while it speaks, behind the sound that goes before it."""
    frame = item.frame
    image = OutputImageRawFrame(frame.to_ndarray(format="rgb24").tobytes(), (frame.width, frame.height), "RGB")
    image.sync_with_audio = speaking
    return image
