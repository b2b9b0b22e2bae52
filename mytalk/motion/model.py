"""Speech to motion: the diffusion model over lower-face motion. MyTalk, section 3.3."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mytalk.face.landmarks import UPPER_COUNT
from mytalk.motion.conformer import ConformerBlock
from mytalk.motion.identity import IdentityExtractor
from mytalk.motion.sampler import DDIM, TIMESTEPS
from mytalk.motion.space import MotionSpace
from mytalk.presets import Preset
from mytalk.speech.build import build_encoder, build_front
from mytalk.speech.seam import Front


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a window is generated from. ``K`` coefficients, ``D`` speech features, ``E`` identity features."""

    speech: Tensor  # (B, T, D)
    upper: Tensor  # (B, T, 38, 2): upper-face displacement from rest; zeros where unknown
    identity: Tensor  # (B, E)
    history: Tensor  # (B, T, K): known motion, zeros elsewhere
    known: Tensor  # (B, T) bool: which rows of history are known
    valid: Tensor | None = None  # (B, T) bool: rows that are not padding; None = all


def timestep_encoding(t: Tensor, width: int) -> Tensor:
    """Sinusoidal encoding ``(B, width)`` of timesteps ``(B,)``. Vaswani et al. 2017, section 3.5."""
    half = width // 2
    rate = torch.exp(-math.log(10_000) * torch.arange(half, device=t.device) / half)
    angle = t[:, None].float() / TIMESTEPS * 1000 * rate
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


class Denoiser(nn.Module):
    """Predicts x0 from a noisy window: ``m_0 = G(m_t | t, speech, identity, upper face)``, eq. 3 of MyTalk.

    The upper face and the known history stand in front of the noisy motion on the feature axis.
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        motion, width = preset.motion, preset.motion.width
        self.coefficients = motion.coefficients
        self.prefix = nn.Linear(2 * motion.coefficients + 1 + 2 * UPPER_COUNT, width)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.speech = nn.Sequential(nn.Linear(preset.speech.width, width), nn.SiLU(), nn.Linear(width, width))
        self.identity = nn.Sequential(nn.Linear(preset.identity.embedding, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(ConformerBlock(motion) for _ in range(motion.layers))
        self.out = nn.Linear(width, motion.coefficients)

    def forward(self, noisy: Tensor, t: Tensor, given: Conditions) -> Tensor:
        """Noisy motion ``(B, T, K)`` at timesteps ``(B,)`` to clean motion; known rows come back as given."""
        known = given.known[..., None].to(noisy.dtype)
        rows = torch.cat([given.upper.flatten(-2) * 10.0, given.history * known, known, noisy * (1 - known)], dim=-1)
        x = self.prefix(rows)  # (B, T, C)
        condition = self.speech(given.speech) + self.time(timestep_encoding(t, x.shape[-1]).to(x.dtype))[:, None]
        identity = self.identity(given.identity)[:, None]  # (B, 1, C)
        for block in self.blocks:
            x = block(x, condition, identity, given.valid)
        return torch.lerp(self.out(x), given.history, known)


class MotionModel(nn.Module):
    """Everything of stage 1 that has weights: speech encoder, identity extractor, motion space and denoiser.

    ``front`` is given where the preset's has weights of its own, which are not the model's; see `load_wav2vec`.
    """

    def __init__(self, preset: Preset, front: Front[Any] | None = None) -> None:
        super().__init__()
        self.front = front or build_front(preset.speech)
        self.speech = build_encoder(preset.speech)
        self.identity = IdentityExtractor(preset.identity)
        self.space = MotionSpace(preset.motion.coefficients)
        self.denoiser = Denoiser(preset)

    @torch.inference_mode()
    def sample(self, noise: Tensor, given: Conditions, sampler: DDIM) -> Tensor:
        """A window's motion ``(B, T, K)`` from noise of the same shape."""
        x = noise
        for index, t in enumerate(sampler.timesteps):
            x0 = self.denoiser(x, t.expand(len(x)).to(x.device), given)
            x = sampler.step(x0, index, x)
        return x
