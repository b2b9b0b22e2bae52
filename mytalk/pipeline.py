"""Loads the models, and dubs with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.appearance.model import AppearanceModel
from mytalk.checkpoint import folder_label, load_into, read_preset, read_speech_model
from mytalk.errors import OptionError, PresetError
from mytalk.face.networks import face_networks
from mytalk.lipsync_stream import LipSyncStream
from mytalk.media.arrays import ArrayFilm, Order, check_frame, check_speech, speech_of
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.batch import MotionRequest, sample_together
from mytalk.motion.model import MotionModel
from mytalk.picture import VideoFrame
from mytalk.presets import PRESETS, Preset
from mytalk.runtime.onnx_graph import use_graphs
from mytalk.speech.factory import load_front
from mytalk.speech.interfaces import Front
from mytalk.stream_options import StreamOptions

EMBEDDED = Path(str(files("mytalk") / "weights"))


class Pipeline:
    """Holds the models of one preset on one device, shared by any number of sessions. Any thread may call: the
    models do not change once they are loaded, and what does change is each stream's own.

    The denoiser and the appearance model, which are nearly all of it, come in the ``dtype`` that was asked for; speech,
    identity and motion space stay float32.
    """

    def __init__(
        self,
        preset: Preset,
        motion: MotionModel,
        appearance: AppearanceModel,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.preset = preset
        self.device = device
        self.dtype = dtype
        self.steps = preset.steps
        motion.denoiser.to(dtype)
        self.motion = motion.to(device).eval()
        layout = torch.channels_last if device.type == "cuda" else torch.preserve_format  # what its kernels want
        self.appearance = appearance.to(device, dtype, memory_format=layout).eval()  # type: ignore[call-overload]
        if device.type == "cuda":
            self.motion.space.cpu()  # a mouth at a time, which is no work for a GPU
            self.motion.to_cuda_graphs(preset.steps)
            self.appearance.to_cuda_graphs()
        for model in (self.motion, self.appearance):
            use_graphs(model)

    def stream(self, options: StreamOptions | None = None) -> LipSyncStream:
        """Starts a new session."""
        options = options or StreamOptions()
        return LipSyncStream(self.motion, self.appearance, options, self.steps)

    def sample(self, requests: Sequence[MotionRequest]) -> list[Tensor]:
        """Samples the motion of several sessions' windows, in one batch: see :meth:`LipSyncStream.request`."""
        return sample_together(self.motion, requests)

    def dub(
        self, frames: Iterable[VideoFrame], speech: NDArray[np.float32], options: StreamOptions | None = None
    ) -> Iterator[VideoFrame]:
        """Yields the frames speaking ``speech`` (16 kHz mono, -1..1), and silence after its end.

        Frames without a face come back as they are. Without ``options`` in profile ``offline``, which holds 37
        motion frames of pictures at a time. Raises OptionError for speech of another kind at once, and for a frame
        that is no ``VideoFrame`` or no later than the one before when it comes. Arrays go to `dub_arrays`.
        """
        return self._dub(frames, check_speech(speech), options or StreamOptions(profile="offline"))

    def dub_arrays(
        self,
        frames: Iterable[NDArray[np.uint8]],
        fps: float | Fraction,
        audio: NDArray[Any],
        rate: int,
        order: Order = "rgb",
        options: StreamOptions | None = None,
    ) -> Iterator[NDArray[np.uint8]]:
        """Yields the frames speaking ``audio``, as arrays of the kind that was given.

        ``frames``: arrays ``(H, W, 3)`` of uint8, one size, ``fps`` a second, channels in ``order`` (``rgb``, or
        ``bgr`` as OpenCV has it). ``audio``: ``(n,)`` or ``(n, channels)`` at ``rate`` Hz, floats of -1 to 1 or int16;
        it is mixed and resampled, and silence follows its end. A pixel that is left untouched keeps its value.
        Raises OptionError for anything else: at once for what is wrong with ``fps``, ``audio``, ``rate`` or
        ``order``, and for a frame when it comes.
        """
        film = ArrayFilm(frames, fps, order)
        dubbed = self.dub(film.frames(), speech_of(audio, rate), options)
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
    dtype: str | torch.dtype = "float32",
) -> Pipeline:
    """Loads the models of a preset's name or of a checkpoint folder, on ``cpu``, ``cuda``, ``cuda:1``... or
    ``auto``.

    ``dtype`` is ``float32``, ``bfloat16`` or ``float16``: what `Pipeline` calculates with, and is allocated in.
    ``speech_model`` is the wav2vec 2.0 folder or hub name of a preset that hears through one; without it, the one that
    the checkpoint names.

    A folder's pipeline has the folder's name and a hash of its weights as its preset's name.

    Raises PresetError for an unknown preset or a speech model that is not there, WeightsError for damaged weights or
    another speech model, OptionError for a missing device or another number type.
    """
    folder = _folder(preset)
    preset_sizes = read_preset(folder)
    target, number_type = _device(device), _dtype(dtype)
    face_networks()
    motion, appearance = load_motion(folder, speech_model), _appearance(preset_sizes, number_type)
    load_into(appearance, folder, "appearance")
    if folder.parent != EMBEDDED:
        preset_sizes = replace(preset_sizes, name=folder_label(folder))
    return Pipeline(preset_sizes, motion, appearance, target, number_type)


def load_motion(preset: str | Path = "edge", speech_model: str | Path | None = None) -> MotionModel:
    """Loads stage 1 alone, on the CPU: of a preset's name, or of a folder that may hold no other weights.

    Raises as `load` does.
    """
    folder = _folder(preset)
    preset_sizes = read_preset(folder)
    motion = MotionModel(preset_sizes, load_front(preset_sizes.speech, speech_model, read_speech_model(folder)))
    load_into(motion.identity, folder, "identity")
    load_into(_WithoutIdentity(motion), folder, "motion")
    if motion.readout is not None:
        load_into(motion.readout, folder, "readout")
    return motion


def random_pipeline(
    preset: str | Preset = "paper",
    device: str = "auto",
    dtype: str | torch.dtype = "float32",
    front: Front[Any] | None = None,
) -> Pipeline:
    """Builds the models of a preset with random weights, for measuring time and memory only: their output is noise.

    The pipeline's preset says so in its name. ``front`` is the speech front of a preset that hears through wav2vec 2.0;
    without it, the pipeline can do all but hear. Raises PresetError and OptionError as `load` does.
    """
    preset_sizes = PRESETS.get(preset) if isinstance(preset, str) else preset
    if preset_sizes is None:
        raise PresetError(f"preset {preset!r} is unknown (known: {', '.join(PRESETS)})")
    target, number_type = _device(device), _dtype(dtype)
    named = replace(preset_sizes, name=f"{preset_sizes.name} (random weights)")
    return Pipeline(
        named, MotionModel(preset_sizes, front), _appearance(preset_sizes, number_type), target, number_type
    )


def _appearance(preset_sizes: Preset, dtype: torch.dtype) -> AppearanceModel:
    """Builds an appearance model that never takes the memory of a wider type than it will have."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return AppearanceModel(preset_sizes.appearance)
    finally:
        torch.set_default_dtype(before)


class _WithoutIdentity(torch.nn.Module):
    """Groups the motion model's parts that are trained together; identity extractor and readout are parts of their
    own."""

    def __init__(self, motion: MotionModel) -> None:
        super().__init__()
        self.speech, self.space, self.denoiser = motion.speech, motion.space, motion.denoiser


def _folder(preset: str | Path) -> Path:
    embedded = EMBEDDED / preset
    if str(preset) in PRESETS and embedded.is_dir():
        return embedded
    if str(preset) in PRESETS:
        raise PresetError(
            f"preset {str(preset)!r} has no weights in the package: train them, and give the folder instead"
        )
    if Path(preset).is_dir():
        return Path(preset)
    raise PresetError(f"{preset}: neither a preset (known: {', '.join(PRESETS)}) nor a checkpoint folder")


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if found not in (torch.float32, torch.bfloat16, torch.float16):
        raise OptionError(f"dtype {dtype!r}: need float32, bfloat16 or float16")
    return found


def _device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        target = torch.device(device)
    except RuntimeError as error:
        raise OptionError(f"device {device!r}: need auto, cpu, cuda or cuda:N") from error
    if target.type not in ("cpu", "cuda"):
        raise OptionError(f"device {device!r}: need auto, cpu, cuda or cuda:N")
    if target.type == "cuda" and (target.index or 0) >= torch.cuda.device_count():
        raise OptionError(f"device {device!r}: this machine has {torch.cuda.device_count()} CUDA devices")
    return target
