"""Loads the models, and dubs with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.interfaces import Appearance
from mytalk.appearance.warm_up import load_renderer
from mytalk.checkpoint import folder_label, read_preset
from mytalk.controls import Controls
from mytalk.errors import OptionError
from mytalk.graph_backend import load_graphs
from mytalk.lipsync_stream import LipSyncStream
from mytalk.media.arrays import ArrayFilm, Order, check_frame, check_speech, speech_of
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.batch import MotionBackend, sample_together
from mytalk.motion.conditions import MotionRequest, SampledMotion
from mytalk.picture import VideoFrame
from mytalk.preset_folders import EMBEDDED, NumberType, graphs_for, preset_folder
from mytalk.presets import Preset
from mytalk.runtime.extras import require_torch
from mytalk.runtime.gpu import may_have_gpu
from mytalk.stream_options import StreamOptions


@dataclass(frozen=True)
class Pipeline:
    """Holds the models of one preset on one device, shared by any number of sessions. Any thread may call: the
    models do not change once they are loaded, and what does change is each stream's own.

    The denoiser and the appearance model, which are nearly all of it, come in the ``dtype`` that was asked for; speech,
    identity and motion space stay float32.
    """

    preset: Preset
    motion: MotionBackend
    appearance: Appearance
    device: str = "cpu"
    dtype: NumberType = "float32"

    @property
    def steps(self) -> int:
        """Returns the preset's number of sampling steps."""
        return self.preset.steps

    def stream(self, options: StreamOptions | None = None) -> LipSyncStream:
        """Starts a new session."""
        options = options or StreamOptions()
        return LipSyncStream(self.motion, self.appearance, options, self.steps)

    def sample(self, requests: Sequence[MotionRequest]) -> list[SampledMotion]:
        """Samples the motion of several sessions' windows, in one batch: see :meth:`LipSyncStream.request`."""
        return sample_together(self.motion, requests)

    def dub(
        self,
        frames: Iterable[VideoFrame],
        speech: NDArray[np.float32],
        options: StreamOptions | None = None,
        *,
        controls: Controls | None = None,
    ) -> Iterator[VideoFrame]:
        """Yields the frames speaking ``speech`` (16 kHz mono, -1..1), and silence after its end.

        Frames without a face come back as they are. Without ``options`` in profile ``offline``, which holds 37
        motion frames of pictures at a time. ``controls`` take the place of those in ``options``. Raises OptionError
        for speech of another kind at once, and for a frame that is no ``VideoFrame`` or no later than the one before
        when it comes. Arrays go to `dub_arrays`.
        """
        options = options or StreamOptions(profile="offline")
        if controls is not None:
            options = replace(options, **controls.named())
        return self._dub(frames, check_speech(speech), options)

    def dub_arrays(
        self,
        frames: Iterable[NDArray[np.uint8]],
        fps: float | Fraction,
        audio: NDArray[Any],
        rate: int,
        order: Order = "rgb",
        options: StreamOptions | None = None,
        *,
        controls: Controls | None = None,
    ) -> Iterator[NDArray[np.uint8]]:
        """Yields the frames speaking ``audio``, as arrays of the kind that was given.

        ``frames``: arrays ``(H, W, 3)`` of uint8, one size, ``fps`` a second, channels in ``order`` (``rgb``, or
        ``bgr`` as OpenCV has it). ``audio``: ``(n,)`` or ``(n, channels)`` at ``rate`` Hz, floats of -1 to 1 or int16;
        it is mixed and resampled, and silence follows its end. A pixel that is left untouched keeps its value.
        Raises OptionError for anything else: at once for what is wrong with ``fps``, ``audio``, ``rate`` or
        ``order``, and for a frame when it comes.
        """
        film = ArrayFilm(frames, fps, order)
        dubbed = self.dub(film.frames(), speech_of(audio, rate), options, controls=controls)
        return (film.array(frame) for frame in dubbed)

    def _dub(
        self, frames: Iterable[VideoFrame], speech: NDArray[np.float32], options: StreamOptions
    ) -> Iterator[VideoFrame]:
        stream = self.stream(options)
        last: VideoFrame | None = None
        try:
            for number, one in enumerate(frames):
                frame = last = check_frame(one, number, last)
                stream.push_frame(frame, stream.track(frame.picture))
                encoded = stream.speech_samples
                until = frame.at + stream.latency + FRAME_SAMPLES
                if until > encoded:
                    part = speech[encoded:until]
                    stream.push_speech(np.pad(part, (0, until - encoded - len(part))))
                yield from stream.pull()
            stream.finish()
            yield from stream.pull()
        finally:
            stream.close()


def load(
    preset: str | Path = "edge",
    device: str = "auto",
    speech_model: str | Path | None = None,
    dtype: NumberType = "float32",
) -> Pipeline:
    """Loads the models of a preset's name or of a checkpoint folder, on ``cpu``, ``cuda``, ``cuda:1``... or
    ``auto``.

    On a CPU a preset that has graphs runs by them, in float32, and needs no torch; all else does.
    ``dtype`` is ``float32``, ``bfloat16`` or ``float16``: what `Pipeline` calculates with, and is allocated in.
    ``speech_model`` is the wav2vec 2.0 folder or hub name of a preset that hears through one; without it, the one that
    the checkpoint names.

    A folder's pipeline has the folder's name and a hash of its weights as its preset's name.

    Raises PresetError for an unknown preset or a speech model that is not there, WeightsError for damaged weights or
    another speech model, OptionError for a missing device or package, or another number type.
    """
    folder = preset_folder(preset)
    sizes = read_preset(folder)
    named = replace(sizes, name=folder_label(folder)) if folder.parent != EMBEDDED else sizes
    if dtype not in ("float32", "bfloat16", "float16"):
        raise OptionError(f"dtype {dtype!r}: need float32, bfloat16 or float16")
    load_renderer()
    graphs = graphs_for(folder, sizes)
    on_cpu = device == "cpu" or (device == "auto" and not may_have_gpu())
    if on_cpu and dtype == "float32" and graphs is not None and speech_model is None:
        return Pipeline(named, *load_graphs(folder, graphs, sizes))
    reason = (
        f"device {device} in {dtype}" if graphs is not None else f"{folder}: without graphs (mytalk train graphs) it"
    )
    require_torch(reason)
    from mytalk.torch_backend import load_by_torch

    return Pipeline(named, *load_by_torch(folder, sizes, device, speech_model, dtype), dtype)
