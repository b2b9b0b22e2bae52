"""Runs an avatar in a room: the framework's runner and receiver, with video that a room does not starve, and with
positions that are the server's.
"""

from __future__ import annotations

from livekit import rtc
from livekit.agents.voice.avatar import AvatarOptions, AvatarRunner, DataStreamAudioReceiver
from mytalk_client.avatar import HEARD_RATE

from .generator import FRAMES_PER_SECOND, MyTalkVideoGenerator

VIDEO_BITS_PER_SECOND = 2_000_000
"""Bitrate at which a face of 512 x 512 at 25 fps keeps its teeth; LiveKit's own choice for that size is 0.5 Mbit/s."""


class Receiver(DataStreamAudioReceiver):
    """Receives an agent's speech, and answers with the positions that the server heard."""

    def __init__(self, room: rtc.Room, generator: MyTalkVideoGenerator, *, sender_identity: str | None = None) -> None:
        super().__init__(room, sender_identity=sender_identity, frame_size_ms=20)
        self._generator = generator

    def notify_playback_finished(self, playback_position: float, interrupted: bool) -> None:
        """Reports the end of an utterance; the runner's own count runs ahead by what waits in its queues."""
        heard = self._generator.heard_before_interrupt if interrupted else self._generator.heard
        super().notify_playback_finished(heard, interrupted)


class Runner(AvatarRunner):
    """Publishes an avatar's sound and picture: one layer at ``VIDEO_BITS_PER_SECOND``; an interrupt is at once."""

    async def _publish_track(self) -> None:
        """Publishes both tracks; the base class leaves bitrate and layers to the room."""
        async with self._lock:
            await self._room_connected_fut
            person = self._room.local_participant
            sound = rtc.LocalAudioTrack.create_audio_track("avatar_audio", self._audio_source)
            of_microphone = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            self._audio_publication = await person.publish_track(sound, of_microphone)
            await self._audio_publication.wait_for_subscription()
            picture = rtc.LocalVideoTrack.create_video_track("avatar_video", self._video_source)
            self._video_publication = await person.publish_track(picture, video_options())

    def _on_clear_buffer(self) -> None:
        """Silences at once what waits between here and the room; the base class lets it play out."""
        self._audio_source.clear_queue()
        super()._on_clear_buffer()


def video_options() -> rtc.TrackPublishOptions:
    """Returns how the picture is published."""
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False)
    options.video_encoding.max_bitrate = VIDEO_BITS_PER_SECOND
    options.video_encoding.max_framerate = FRAMES_PER_SECOND
    return options


async def runner_for(room: rtc.Room, generator: MyTalkVideoGenerator, *, sender_identity: str | None = None) -> Runner:
    """Returns a runner of the generator's size, not yet started."""
    width, height = await generator.size()
    receiver = Receiver(room, generator, sender_identity=sender_identity)
    options = AvatarOptions(width, height, FRAMES_PER_SECOND, HEARD_RATE, 1)
    return Runner(room, audio_recv=receiver, video_gen=generator, options=options)
