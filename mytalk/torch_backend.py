"""Loads the models as modules of torch: for a GPU, for presets without graphs, for training and measuring."""

from __future__ import annotations

from pathlib import Path

import torch

from mytalk.appearance.interfaces import Appearance
from mytalk.appearance.model import AppearanceModel
from mytalk.checkpoint import read_preset, read_speech_model
from mytalk.errors import OptionError
from mytalk.face.networks import face_networks
from mytalk.graph_backend import assemble
from mytalk.graph_export import arrays_of, can_export, export_graphs
from mytalk.motion.batch import MotionBackend
from mytalk.motion.model import MotionModel
from mytalk.motion.torch_backend import TorchMotion
from mytalk.preset_folders import NumberType, preset_folder
from mytalk.presets import Preset
from mytalk.runtime.onnx_graph import Graph
from mytalk.runtime.threads import threads
from mytalk.speech.factory import load_front
from mytalk.torch_checkpoint import load_into


def load_by_torch(
    folder: Path,
    sizes: Preset,
    device: str,
    speech_model: str | Path | None = None,
    dtype: NumberType = "float32",
) -> tuple[MotionBackend, Appearance, str]:
    """Loads both stages of a checkpoint folder as modules, and says on which device they are.

    Raises as `mytalk.pipeline.load` does.
    """
    torch.set_num_threads(threads())
    target, number_type = torch_device(device), getattr(torch, dtype)
    face_networks()
    motion, appearance = load_motion(folder, speech_model), new_appearance(sizes, number_type)
    load_into(appearance, folder, "appearance")
    return place(sizes, motion, appearance, target, dtype)


def load_motion(preset: str | Path = "edge", speech_model: str | Path | None = None) -> MotionModel:
    """Loads stage 1 alone, on the CPU: of a preset's name, or of a folder that may hold no other weights.

    Raises as `mytalk.pipeline.load` does.
    """
    folder = preset_folder(preset)
    sizes = read_preset(folder)
    motion = MotionModel(sizes, load_front(sizes.speech, speech_model, read_speech_model(folder)))
    load_into(motion.identity, folder, "identity")
    load_into(_WithoutIdentity(motion), folder, "motion")
    if motion.readout is not None:
        load_into(motion.readout, folder, "readout")
    return motion


def load_appearance(preset: str | Path = "edge") -> AppearanceModel:
    """Loads stage 2 alone, on the CPU. Raises as `mytalk.pipeline.load` does."""
    folder = preset_folder(preset)
    model = AppearanceModel(read_preset(folder).appearance)
    load_into(model, folder, "appearance")
    return model.eval()


def place(
    sizes: Preset, motion: MotionModel, appearance: AppearanceModel, device: torch.device, dtype: NumberType
) -> tuple[MotionBackend, Appearance, str]:
    """Puts modules, which must not change any more, on a device: as graphs where that pays, else by torch."""
    if device.type == "cpu" and dtype == "float32" and can_export(motion, appearance):
        motion.eval()
        appearance.eval()
        arrays = arrays_of(motion, appearance)
        graphs = {name: Graph(one, arrays[name]) for name, one in export_graphs(motion, appearance).items()}
        return *assemble(sizes, motion.space.arrays(), graphs), "cpu"
    motion.denoiser.to(getattr(torch, dtype))
    motion = motion.to(device).eval()
    layout = torch.channels_last if device.type == "cuda" else torch.preserve_format  # what its kernels want
    appearance = appearance.to(device, getattr(torch, dtype), memory_format=layout).eval()  # type: ignore[call-overload]
    if device.type == "cuda":
        motion.to_cuda_graphs(sizes.steps)
        appearance.to_cuda_graphs()
    return TorchMotion(motion), appearance, str(device)


def new_appearance(sizes: Preset, dtype: torch.dtype) -> AppearanceModel:
    """Builds an appearance model that never takes the memory of a wider type than it will have."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return AppearanceModel(sizes.appearance)
    finally:
        torch.set_default_dtype(before)


class _WithoutIdentity(torch.nn.Module):
    """Groups the motion model's parts that are trained together; identity extractor and readout are parts of their
    own."""

    def __init__(self, motion: MotionModel) -> None:
        super().__init__()
        self.speech, self.space, self.denoiser = motion.speech, motion.space, motion.denoiser


def torch_device(device: str) -> torch.device:
    """Returns the device of a name. Raises OptionError where this machine has none."""
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
