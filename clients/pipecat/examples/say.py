"""Says a sentence with a face and no key at all: espeak-ng speaks, a MyTalk streamer shows, a film keeps it.

    python examples/say.py "Good morning, and welcome." talk.mp4 [--url http://localhost:8080]

Without --url a server is started on this machine for as long as it takes (package ``mytalk-streamer``).
"""

from __future__ import annotations

import argparse
import asyncio
import io
import wave
from collections.abc import AsyncGenerator
from fractions import Fraction

import av
import numpy as np
from mytalk_client.avatar import HEARD_RATE
from pipecat.frames.frames import EndFrame, Frame, OutputImageRawFrame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.workers.runner import WorkerRunner
from pipecat_mytalk import MyTalkVideoService

FRAMES_PER_SECOND = 25
TIME_BASE = Fraction(1, HEARD_RATE)


class EspeakService(TTSService):
    """Speaks with espeak-ng, a program of Debian and others."""

    def __init__(self) -> None:
        settings = TTSSettings(model=None, voice="en", language=None)
        super().__init__(settings=settings, push_start_frame=True, push_stop_frames=True, stop_frame_timeout_s=0.5)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        """Yields the speech of one sentence."""
        program = ("espeak-ng", "--stdout", "-v", "en")
        process = await asyncio.create_subprocess_exec(
            *program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        sound, _ = await process.communicate(text.encode())
        with wave.open(io.BytesIO(sound)) as file:  # its header does not know the length
            rate, pcm = file.getframerate(), sound[44:]
        yield TTSAudioRawFrame(pcm[: len(pcm) // 2 * 2], rate, 1, context_id=context_id)


class FilmSink(FrameProcessor):
    """Writes what a transport would send: pictures by their place in the sound, from its first sample on."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._film: Film | None = None  # from the first picture on, which has the size

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keeps pictures and sound, and passes everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, OutputImageRawFrame):
            self._film = self._film or Film(self._path, *frame.size)
            self._film.keep_picture(frame)
        elif isinstance(frame, TTSAudioRawFrame) and self._film is not None:
            self._film.keep_sound(frame)
        elif isinstance(frame, EndFrame) and self._film is not None:
            self._film.close()
        await self.push_frame(frame, direction)


class Film:
    """Is an MP4 while it is written."""

    def __init__(self, path: str, width: int, height: int) -> None:
        self._container = av.open(path, "w")
        self._sound = self._container.add_stream("aac", rate=HEARD_RATE, layout="mono")
        self._video = self._container.add_stream("h264", rate=FRAMES_PER_SECOND)
        self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
        self._video.codec_context.time_base = TIME_BASE
        self._heard, self._shown = 0, -1

    def keep_sound(self, frame: TTSAudioRawFrame) -> None:
        """Appends speech."""
        sound = av.AudioFrame.from_ndarray(np.frombuffer(frame.audio, "<i2")[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = frame.sample_rate, self._heard, TIME_BASE
        self._container.mux(self._sound.encode(sound))
        self._heard += sound.samples

    def keep_picture(self, frame: OutputImageRawFrame) -> None:
        """Appends a picture where there was sound since the last."""
        if self._heard == max(0, self._shown):
            return
        width, height = frame.size
        picture = np.frombuffer(frame.image, np.uint8).reshape(height, width, 3)
        video = av.VideoFrame.from_ndarray(picture, format="rgb24")
        video.pts, video.time_base = self._heard, TIME_BASE
        self._container.mux(self._video.encode(video))
        self._shown = self._heard

    def close(self) -> None:
        """Writes the rest."""
        for stream in (self._sound, self._video):
            self._container.mux(stream.encode(None))
        self._container.close()


async def main(text: str, path: str, url: str | None) -> None:
    """Runs the pipeline to its end."""
    face = MyTalkVideoService(url=url)
    worker = PipelineWorker(Pipeline([EspeakService(), face, FilmSink(path)]), enable_rtvi=False)
    runner = WorkerRunner()
    await runner.add_workers(worker)
    await worker.queue_frames([TTSSpeakFrame(text), EndFrame()])
    await runner.run()
    print(f"{path}: {face.disclosure}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text")
    parser.add_argument("film", metavar="OUT.mp4")
    parser.add_argument("--url", help="of a server that runs")
    args = parser.parse_args()
    asyncio.run(main(args.text, args.film, args.url))
