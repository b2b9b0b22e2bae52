"""Generates motion from speech: the diffusion model over lower-face motion. MyTalk, section 3.3."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from mytalk.face.landmarks import UPPER_COUNT
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.conditions import Conditions
from mytalk.motion.conformer import BlockPast, ConformerBlock, OwnConditions, no_past, projection, view_of
from mytalk.motion.cuda_graph_sampling import ALIGNED_FRAMES, MAX_BATCH, GraphSampling
from mytalk.motion.identity import LANDMARKS, IdentityExtractor
from mytalk.motion.memory import Past, Remembered
from mytalk.motion.sampler import DDIM, TIMESTEPS
from mytalk.motion.space_module import MotionSpaceModule
from mytalk.presets import PROFILES, Preset
from mytalk.runtime.cuda_graphs import Recorder, record_batches
from mytalk.runtime.graph_module import GraphModule, GraphSpec
from mytalk.speech.factory import NoFront, build_encoder, build_front
from mytalk.speech.frontend import FeatureExtractor
from mytalk.speech.interfaces import Front
from mytalk.speech.readout import Readout


def timestep_encoding(t: Tensor, width: int) -> Tensor:
    """Encodes timesteps ``(...)`` by sinusoids ``(..., width)``. Vaswani et al. 2017, section 3.5."""
    half = width // 2
    rate = torch.exp(-math.log(10_000) * torch.arange(half, device=t.device) / half)
    angle = t[..., None].float() / TIMESTEPS * 1000 * rate
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


class Denoiser(GraphModule):
    """Predicts x0 from a noisy window: ``m_0 = G(m_t | t, speech, identity, upper face)``, MyTalk, eq. 3.

    Known motion is given clean and sees known motion before it alone. So a window is denoised to the same result in one
    piece and with its final frames remembered (`mytalk.motion.memory`), at the cost of the frames that are new.

    The known history stands in front of the noisy motion on the feature axis, and before it the upper face where the
    preset shows it; so does the identity where the preset concatenates it. Arithmetic is in the weights' type, results
    in that of the noise.
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        motion, width, speech = preset.motion, preset.motion.width, preset.speech.width
        self.preset = motion
        self.coefficients, self.conditioning = motion.coefficients, motion.conditioning
        person = LANDMARKS if motion.identity_as == "landmarks" else preset.identity.embedding
        concatenated = person if motion.conditioning == "concat" else 0
        attended = person if motion.conditioning == "cross" else None
        self.speech_width, self.identity_width = speech, person  # how wide speech and identity are
        self.uses_upper = motion.upper_face
        seen = 2 * UPPER_COUNT if motion.upper_face else 0
        self.prefix = nn.Linear(2 * motion.coefficients + 1 + seen + concatenated, width)
        if not motion.own_conditions:
            self.time, self.speech = projection(width, width), projection(speech, width)
        if motion.conditioning == "add" or (attended and not motion.own_conditions):
            self.identity = projection(person, width)
        self.blocks = nn.ModuleList(ConformerBlock(motion) for _ in range(motion.layers))
        owners = motion.layers if motion.own_conditions else 0
        self.own = nn.ModuleList(OwnConditions(width, speech, attended) for _ in range(owners))
        self.out = nn.Linear(width, motion.coefficients)

    def forward(self, noisy: Tensor, t: Tensor, conditions: Conditions[Tensor]) -> Tensor:
        """Denoises motion ``(B, T, K)`` at timesteps ``(B,)``; known rows come back as they were given."""
        return self.denoise(noisy, t, conditions)[0]

    def denoise(self, noisy: Tensor, t: Tensor, conditions: Conditions[Tensor]) -> tuple[Tensor, Remembered]:
        """Denoises as ``forward`` does, and returns what is to be remembered of the rows, those known."""
        dtype = self.prefix.weight.dtype
        known = conditions.known[..., None].to(noisy.dtype)
        speech, person = conditions.speech.to(dtype), conditions.identity.to(dtype)
        rows = torch.cat([conditions.history * known, known, noisy * (1 - known)], dim=-1)
        if self.uses_upper:
            rows = torch.cat([conditions.upper.flatten(-2) * 10.0, rows], dim=-1)
        if self.conditioning == "concat":
            rows = torch.cat([rows, person[:, None].expand(-1, rows.shape[1], -1).to(rows.dtype)], dim=-1)
        x = self.prefix(rows.to(dtype))  # (B, T, C)
        if self.conditioning == "add":
            x = x + self.identity(person)[:, None]
        time = timestep_encoding(t[:, None] * ~conditions.known, x.shape[-1]).to(dtype)  # clean rows are those of t = 0
        shared = None if len(self.own) else self._shared(speech, time, person)
        view = view_of(conditions.known, conditions.valid, conditions.past, self.preset, dtype)
        remembered: list[BlockPast] = []
        for index, block in enumerate(self.blocks):
            condition, tokens = shared or self.own[index](speech, time, person)
            x, frames = block(x, condition, tokens, view, _of_block(conditions.past, index))
            remembered.append(frames)
        x0 = torch.lerp(self.out(x).to(noisy.dtype), conditions.history.to(noisy.dtype), known)
        return x0, Remembered(*(torch.stack(parts, dim=1) for parts in zip(*remembered, strict=True)))

    def graph_spec(self) -> GraphSpec:
        """Makes ``denoise`` with a past a graph."""
        like = self.prefix.weight
        motion = like.new_zeros(1, 2, self.coefficients)
        example = {
            "noisy": motion,
            "t": torch.zeros(1, dtype=torch.long),
            "speech": motion.new_zeros(1, 2, self.speech_width),
            "upper": motion.new_zeros(1, 2, UPPER_COUNT, 2),
            "identity": motion.new_zeros(1, self.identity_width),
            "history": motion,
            "known": torch.zeros(1, 2, dtype=torch.bool),
            "valid": torch.ones(1, 2, dtype=torch.bool),
        }
        free = {name: min(2, one.dim()) for name, one in example.items()} | {"identity": 1}
        past = no_past(1, self.preset, like)._asdict()
        return GraphSpec(self._calculate, example | past, free | dict.fromkeys(past, 1))

    def _calculate(self, noisy: Tensor, t: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        speech, upper, identity, history, known, valid = given[:6]
        conditions = Conditions(speech, upper, identity, history, known, valid, past=Past(*given[6:]))
        x0, frames = self.denoise(noisy, t, conditions)
        return (x0, *frames)

    def _shared(self, speech: Tensor, time: Tensor, person: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns what is added to each block's input ``(B, T, C)``, and what it attends to ``(B, 1, C)``."""
        condition = self.speech(speech) + self.time(time)
        return condition, self.identity(person)[:, None] if self.conditioning == "cross" else None


def _of_block(past: Past | None, index: int) -> BlockPast | None:
    """Returns the past of one block, of what is not remembered zeros."""
    if past is None:
        return None
    before = past.convolved.shape[2]
    known = torch.arange(before, 0, -1, device=past.frames.device) <= past.frames[:, None]  # (B, kernel - 1)
    return past.keys[:, index], past.values[:, index], past.convolved[:, index] * known[..., None]


class MotionModel(nn.Module):
    """Joins everything of stage 1 that has weights: speech encoder, identity extractor, motion space and denoiser.

    ``front`` is given where the preset's has weights of its own, which are not the model's; see `load_wav2vec`.
    """

    def __init__(self, preset: Preset, front: Front[Any] | None = None) -> None:
        super().__init__()
        self.preset = preset.motion
        self.front = front or build_front(preset.speech)
        self.speech = build_encoder(preset.speech)
        self.identity = IdentityExtractor(preset.identity)
        self.space = MotionSpaceModule(preset.motion.coefficients)
        self.denoiser = Denoiser(preset)
        self.readout = Readout(preset.motion.coefficients) if preset.motion.readout else None
        self._graph_sampling: GraphSampling | None = None
        self._extractor: FeatureExtractor | None = None  # by graphs

    def person(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Returns ``Conditions.identity`` of a person ``(B, E)``: the embedding, or the landmarks, as the preset has
        it.

        ``lower`` is the rest shape ``(B, 169, 3)``, ``upper`` the upper face ``(B, 38, 3)``, both canonical.
        """
        if self.preset.identity_as == "landmarks":
            return self.identity.landmarks(lower, upper)
        embedding: Tensor = self.identity(lower, upper)
        return embedding

    @property
    def extractor(self) -> FeatureExtractor:
        """Returns the speech front, encoder and readout, joined."""
        return self._extractor or FeatureExtractor(self.speech, self.front, self.readout)

    @property
    def device(self) -> torch.device:
        """Returns the device that windows are sampled on."""
        return self.denoiser.prefix.weight.device

    @torch.inference_mode()
    def sample(self, noise: Tensor, conditions: Conditions[Tensor], sampler: DDIM) -> tuple[Tensor, Remembered]:
        """Samples a window's motion ``(B, T, K)`` from noise of the same shape; returns it with what is to be
        remembered of its known rows."""
        run = self._sample if self._graph_sampling is None else self._graph_sampling
        return run(noise, conditions, sampler.steps)

    def to_cuda_graphs(self, steps: int, record: Recorder | None = None) -> None:
        """Switches ``sample`` and ``extractor`` to CUDA graphs, and records those for ``steps`` and for every
        profile now."""
        self._graph_sampling = GraphSampling(self._sample, self.preset, record)
        record_batches(lambda rows: self.sample(*self._zeros(rows), DDIM(steps)), MAX_BATCH)
        if isinstance(self.front, NoFront):
            return
        extractor = self._extractor = self.extractor
        extractor.to_cuda_graphs(record)
        with torch.inference_mode():
            for profile in PROFILES.values():
                for frames in {profile.hop, profile.lookahead % profile.hop or profile.hop}:
                    silence = torch.zeros(1, frames * FRAME_SAMPLES, device=self.device)
                    extractor(silence, extractor.start(profile.hop + profile.lookahead))

    def _sample(self, noise: Tensor, conditions: Conditions[Tensor], steps: int) -> tuple[Tensor, Remembered]:
        sampler, x = DDIM(steps), noise
        for index, t in enumerate(sampler.timesteps):
            x0, frames = self.denoiser.denoise(x, torch.full((len(x),), t, device=x.device), conditions)
            if conditions.estimate is not None:
                estimate = conditions.estimate.to(x0.dtype)
                x0 = torch.where(conditions.known[..., None], x0, torch.lerp(x0, estimate, self.preset.readout))
            x = sampler.step(x0, index, x)
        return x, frames  # known rows are the same in every step, and so is what is remembered of them

    def _zeros(self, rows: int) -> tuple[Tensor, Conditions[Tensor]]:
        """Makes noise and conditions of hops of the default profile as a session gives them, all zeros."""
        shape = (rows, ALIGNED_FRAMES)
        motion = torch.zeros(*shape, self.preset.coefficients, device=self.device)
        conditions = Conditions(
            motion.new_zeros(*shape, self.denoiser.speech_width),
            motion.new_zeros(*shape, UPPER_COUNT, 2),
            motion.new_zeros(rows, self.denoiser.identity_width),
            motion,
            torch.zeros(shape, dtype=torch.bool, device=self.device),
            estimate=None if self.readout is None else motion,
            past=no_past(rows, self.preset, self.denoiser.prefix.weight),
        )
        return motion, conditions
