"""Exports both stages of a preset as graphs, which run without torch."""

from __future__ import annotations

from torch import Tensor, nn

from mytalk.appearance.model import AppearanceModel
from mytalk.errors import PresetError
from mytalk.face.landmarks import LOWER_COUNT, UPPER_COUNT
from mytalk.motion.model import MotionModel
from mytalk.runtime.graph_module import GraphModule, GraphSpec
from mytalk.runtime.onnx_export import export
from mytalk.runtime.onnx_graph import Array, ExportedGraph
from mytalk.speech.band_power import BandPower
from mytalk.speech.mel_phones import MelPhones

MAX_PARAMETERS = 20_000_000
"""Parameters of a module up to which a graph pays. A larger one spends its time in large matrices, at which torch is
as fast."""


def can_export(motion: MotionModel, appearance: AppearanceModel) -> bool:
    """Says whether a preset's networks can run as graphs, and gain by it: those that hear by what is in the package,
    refine warped mouths, and are small."""
    counts = [sum(one.numel() for one in module.parameters()) for module in (motion, appearance)]
    return isinstance(motion.front, GraphModule) and appearance.preset.residual and max(counts) <= MAX_PARAMETERS


def export_graphs(motion: MotionModel, appearance: AppearanceModel) -> dict[str, ExportedGraph]:
    """Exports the networks of both stages. Raises PresetError for those that cannot run as graphs."""
    if not can_export(motion, appearance):
        raise PresetError("these networks cannot run as graphs: too large, another front or another renderer")
    weights = graph_tensors(motion, appearance)
    return {name: export(module, weights[name]) for name, module in graph_modules(motion, appearance).items()}


def graph_modules(motion: MotionModel, appearance: AppearanceModel) -> dict[str, GraphModule]:
    """Returns the modules that become graphs, by the graphs' names."""
    front, encoder = motion.front, motion.speech
    assert isinstance(front, GraphModule)
    assert isinstance(encoder, GraphModule)
    modules = {"front": front, "encoder": encoder, "identity": _Person(motion), "denoiser": motion.denoiser}
    readout = {} if motion.readout is None else {"readout": motion.readout}
    return {**modules, **readout, "appearance": appearance}


def graph_tensors(motion: MotionModel, appearance: AppearanceModel) -> dict[str, dict[str, Tensor]]:
    """Returns the tensors that stay out of each graph, by the names that `mytalk.graph_backend` reads them by."""
    tensors = {
        "front": _front_tensors(motion.front),
        "encoder": _named("motion/speech", motion.speech),
        "identity": _named("identity", motion.identity),
        "denoiser": _named("motion/denoiser", motion.denoiser),
        "appearance": _named("appearance", appearance),
    }
    if motion.readout is not None:
        frozen = dict(motion.readout.recogniser.named_buffers())
        del frozen["prior"]
        own = {f"readout/{name}": one for name, one in motion.readout.named_buffers(recurse=False)}
        tensors["readout"] = own | {f"recogniser/{name}": one for name, one in frozen.items()}
    return tensors


def arrays_of(motion: MotionModel, appearance: AppearanceModel) -> dict[str, dict[str, Array]]:
    """Returns the values of these tensors, as graphs take them."""
    tensors = graph_tensors(motion, appearance)
    return {graph: {name: one.detach().numpy() for name, one in named.items()} for graph, named in tensors.items()}


class _Person(GraphModule):
    """Wraps what makes a person's identity of two faces."""

    def __init__(self, motion: MotionModel) -> None:
        super().__init__()
        self.identity, self.as_landmarks = motion.identity, motion.preset.identity_as == "landmarks"

    def forward(self, lower: Tensor, upper: Tensor) -> tuple[Tensor]:
        return (self.identity.landmarks(lower, upper) if self.as_landmarks else self.identity(lower, upper),)

    def graph_spec(self) -> GraphSpec:
        like = next(self.identity.parameters())
        example = {"lower": like.new_zeros(1, LOWER_COUNT, 3), "upper": like.new_zeros(1, UPPER_COUNT, 3)}
        return GraphSpec(self.forward, example, {})


def _named(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    separator = "/" if "/" not in prefix else "."
    return {f"{prefix}{separator}{name}": one for name, one in module.state_dict(keep_vars=True).items()}


def _front_tensors(front: nn.Module) -> dict[str, Tensor]:
    mel = front.mel if isinstance(front, MelPhones) else front
    powers = {"mel": mel.power}
    phones = {}
    if isinstance(front, MelPhones):
        powers["cepstra"] = front.phones.cepstra.power
        phones = {"phones/linear": front.phones.linear, "phones/weights": front.phones.weights}
    found: dict[str, Tensor] = {}
    for name, power in powers.items():
        assert isinstance(power, BandPower)
        found |= {f"{name}/waves": power.waves, f"{name}/bins": power.bins}
    return found | phones
