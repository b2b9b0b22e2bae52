"""Runs the first layers of a speech recogniser live: features that tell what was said, whoever said it.

Moonshine tiny for English (Jeffries et al. 2024; MIT licence beside the weights): convolutions over samples, then a
Transformer with rotary positions. The recogniser hears whole utterances; a live session cannot, so the network hears
what a session has. What differs from the published encoder:

- A token every 20 ms instead of 24, so that two make a motion frame; its rotary position is its time in units of 24 ms.
  It ends where its 20 ms end.
- Attention sees the tokens of the last two seconds or so, up to the newest, and those that are asked for are heard anew
  whenever there is more speech. So a token knows what came after it as well, as far as it has been heard; one that
  knows its past alone tells less of a mouth, for the network was not trained so. Tokens before those stay what they
  were when they were asked for last.
- The norm over the whole recording after the first convolution has running moments, whose prior is its answer to
  speech-like noise at -26 dBFS.
- Only the first three layers of six run: later ones are further from sound, and say less of the mouth.
- Their weights are changed, by low ranks: so they say of the newest frames what the published ones say of them having
  heard the whole recording.

`mytalk.training.speech.recogniser` makes the file from the ``moonshine-voice`` package,
`mytalk.training.speech.recogniser_live` what
is added to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.speech.attention import attend
from mytalk.speech.frozen_weights import recogniser_weights
from mytalk.speech.running_stats import Moments, running_moments, speech_noise
from mytalk.speech.timing import TOKEN, TOKENS

WIDTH = 288
LAYERS = 3
HEADS = 8
CONTEXT = 40
"""Motion frames before the requested ones, whose keys and values are cached and not computed anew."""

_TRAINED_TOKEN = 384  # samples, of the published network
_STRIDE, _KERNEL = 64, 127  # of the first convolution
_FIELD = 13  # outputs of the first convolution that a token sees
_OWN = TOKEN // _STRIDE  # those that the token before does not
_LEFT = _KERNEL + (_FIELD - 1) * _STRIDE - TOKEN  # samples that it sees before its own
_ROTARY = 32  # of a head's 36 features
_CHUNK_FRAMES = 64  # frames of a recording: bounds memory
_SPEECH_LEVEL = 0.05  # -26 dBFS: ITU-T P.56 active level that speech databases are set to


@dataclass(slots=True)
class MoonshineState:
    """Holds what the next chunk still needs of the past: 0.7 MB a session of the profile ``balanced``."""

    position: Tensor  # (B,) tokens so far
    samples: Tensor  # (B, 575)
    norm: Moments  # of the first convolution, all channels together
    tokens: Tensor  # (B, 2 n, 288) of the convolutions, zeros where nothing was heard yet
    recent: Tensor  # (B, 2 n, 2 * LAYERS, HEADS, 36): their keys, then values, layer by layer
    past: Tensor  # (B, 2 * LAYERS, HEADS, 2 * CONTEXT, 36): of the tokens before these


class Moonshine(nn.Module):
    """Maps 16 kHz samples to the third layer's features of the newest motion frames, 288 each. Nothing is trained,
    and nothing of it is in a state dict. ``live``: with the low-rank changes for what a session has heard."""

    def __init__(self, live: bool = True) -> None:
        super().__init__()
        for name, array in recogniser_weights(live).items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)
        first = self._first(_SPEECH_LEVEL * speech_noise(SAMPLE_RATE)[None])
        prior = torch.stack([first.mean(), first.var(correction=0)])
        self.register_buffer("prior", prior, persistent=False)
        self.prior: Tensor  # mean and variance of the first convolution
        self.conv1_weight: Tensor  # (288, 128): of the samples in order, the last of no weight
        self.conv2_weight: Tensor  # (576, 7 * 288)
        self.conv2_bias: Tensor
        self.conv3_weight: Tensor  # (288, 3 * 576)
        self.conv3_bias: Tensor
        self.norm_weight: Tensor
        self.norm_bias: Tensor

    def start(self, frames: int, batch: int = 1) -> MoonshineState:
        """Makes the state of ``batch`` new sessions that ask for the newest ``frames``."""
        like = self.conv2_bias
        return MoonshineState(
            torch.zeros(batch, dtype=torch.long, device=like.device),
            like.new_zeros(batch, _LEFT),
            Moments.empty(batch, 1, like.device),
            like.new_zeros(batch, TOKENS * frames, WIDTH),
            like.new_zeros(batch, TOKENS * frames, 2 * LAYERS, HEADS, WIDTH // HEADS),
            like.new_zeros(batch, 2 * LAYERS, HEADS, TOKENS * CONTEXT, WIDTH // HEADS),
        )

    @torch.no_grad()
    def forward(self, samples: Tensor, state: MoonshineState) -> Tensor:
        """Maps the next samples ``(B, 640 T)``, T at least 1, to features ``(B, n, 288)`` of the newest motion
        frames; zeros for those before the first sample."""
        with torch.autocast(samples.device.type, enabled=False):  # a trainer's mixed precision must not change features
            for chunk in samples.float().split(state.tokens.shape[1] * TOKEN, dim=1):
                features = self.encode(chunk, state)
            return features

    @torch.no_grad()
    def growing(self, samples: Tensor, frames: int, step: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """Runs over a recording ``(640 T,)`` from its start: yields numbers ``(n,)`` of motion frames, every
        ``step``-th, and what ``forward`` returns when each is the newest and the last one was before, ``(n, frames,
        288)``; some at a time."""
        state = self.start(frames)
        ends = torch.arange(0, len(samples) // FRAME_SAMPLES, step, device=samples.device)
        first = 0
        for newest in ends.split(_CHUNK_FRAMES):
            readout = []
            for end in (FRAME_SAMPLES * (newest + 1)).tolist():
                readout.append(self(samples[None, first:end], state)[0])
                first = end
            yield newest, torch.stack(readout)

    def encode(self, samples: Tensor, state: MoonshineState) -> Tensor:
        """Runs ``forward`` on at most as many samples as the requested tokens have."""
        requested, before = state.tokens.shape[1], TOKENS * CONTEXT
        fresh = self.stem(samples, state)
        count = fresh.shape[1]
        state.tokens = torch.cat([state.tokens, fresh], dim=1)[:, count:]
        state.position = state.position + count
        older = state.recent[:, :count].permute(0, 2, 3, 1, 4)  # not asked for any more
        state.past = torch.cat([state.past, older], dim=3)[..., count:, :]
        positions = state.position[:, None] + torch.arange(-before - requested, 0, device=samples.device)
        known, rotary = positions >= 0, rotary_of(positions[:, before:])
        past_known, known = known[:, :before], known[:, before:]
        features, state.recent = transform(state.tokens, known, rotary, self.layers, state.past, past_known)
        return features

    @property
    def layers(self) -> list[dict[str, Tensor]]:
        """Lists the weights of each layer by name, as `transform` takes them."""
        return [{name: getattr(self, f"layers_{index}_{name}") for name in _LAYER} for index in range(LAYERS)]

    def _first(self, samples: Tensor) -> Tensor:
        """Applies the first convolution, ``(B, 64 n)`` to ``(B, n - 1, 288)``."""
        rows = samples.reshape(samples.shape[0], -1, _STRIDE)
        return F.linear(torch.cat([rows[:, :-1], rows[:, 1:]], dim=-1), self.conv1_weight).tanh()

    def stem(self, samples: Tensor, state: MoonshineState) -> Tensor:
        """Applies the convolutions, ``(B, 640 T)`` to ``(B, 2 T, 288)``, as matrix products, which are quicker for
        so few positions.

        The second's outputs that the third reads lie 3 of the first's apart, as in the published network; tokens lie 5
        apart, so every token has its own.
        """
        rows = samples.shape[0]
        received = torch.cat([state.samples, samples], dim=1)
        state.samples = received[:, -_LEFT:]
        padding = 3 * _OWN - _FIELD  # places that no token sees, which make whole tokens of them
        x = self._first(F.pad(received, (0, 2 * _STRIDE - _KERNEL + padding * _STRIDE)))  # (B, 10 T + 10, 288)
        own = x[:, _FIELD - _OWN : -padding].reshape(
            rows, -1, 1, TOKENS * _OWN * WIDTH
        )  # a token's last 5 of 13 places
        moments = running_moments(own, state.norm, (self.prior[:1], self.prior[1:]))
        mean, variance = (part[..., None, None] for part in moments)  # (B, T, 1, 1, 1)
        x = x.reshape(rows, -1, _OWN, WIDTH)
        x = torch.cat([x[:, :-2], x[:, 1:-1], x[:, 2:]], dim=2).reshape(rows, -1, TOKENS, 3 * _OWN, WIDTH)
        x = (x - mean) * ((variance + 1e-5).rsqrt() * self.norm_weight) + self.norm_bias
        x = torch.stack([x[..., first : first + 7, :] for first in (0, 3, 6)], dim=3).reshape(rows, -1, 3, 7 * WIDTH)
        x = F.gelu(F.linear(x, self.conv2_weight, self.conv2_bias))  # (B, 2 T, 3, 576)
        return F.gelu(F.linear(x.flatten(2), self.conv3_weight, self.conv3_bias))


def transform(
    x: Tensor,
    known: Tensor,
    rotary: Tensor,
    layers: Sequence[Mapping[str, Tensor]],
    past: Tensor | None = None,
    past_known: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Applies the Transformer: tokens ``(B, 2 n, 288)``, of which ``known`` ``(B, 2 n)`` are attended to, to motion
    frames ``(B, n, 288)``, zeros for those that are not known; and returns the tokens' keys and values, layer by
    layer, ``(B, 2 n, 2 * LAYERS, H, 36)``.

    ``rotary``: what `rotary_of` gives of their numbers. ``past``: keys and values of the tokens before them, ``(B, 2 *
    LAYERS, H, P, 36)``, of which ``past_known`` ``(B, P)`` are known.
    """
    mask = (known if past_known is None else torch.cat([past_known, known], dim=1))[:, None, None]
    cosines, sines = rotary[:, :, None, 0], rotary[:, :, None, 1]
    swap = _swap(x)
    recent: list[Tensor] = []
    for number, weights in enumerate(layers):
        y = F.linear(F.layer_norm(x, (WIDTH,), weights["norm1"]), weights["qkv"])
        y = y.reshape(*x.shape[:2], 3 * HEADS, -1)  # a graph keeps what unflatten makes of it
        turned = y[:, :, : 2 * HEADS]
        turned = turned * cosines + turned @ swap * sines
        parts = turned[:, :, :HEADS], turned[:, :, HEADS:], y[:, :, 2 * HEADS :]
        recent += parts[1:]
        q, k, v = (part.transpose(1, 2) for part in parts)
        if past is not None:
            k, v = torch.cat([past[:, 2 * number], k], dim=2), torch.cat([past[:, 2 * number + 1], v], dim=2)
        x = x + F.linear(attend(q, k, v, mask), weights["out"])
        y = F.layer_norm(x, (WIDTH,), weights["norm2"])
        y = F.gelu(F.linear(y, weights["fc1"], weights["fc1_bias"]))
        x = x + F.linear(y, weights["fc2"], weights["fc2_bias"])
    frames = (x * known[..., None]).reshape(x.shape[0], -1, TOKENS, WIDTH).mean(2)
    return frames, torch.stack(recent, dim=2)


def rotary_of(positions: Tensor) -> Tensor:
    """Returns cosines and sines ``(B, n, 2, 36)`` of the rotary positions of tokens by number ``(B, n)``. Su et al.
    2021.

    Exact however long a session is: whole turns are taken away in 64 bits.
    """
    feature = torch.arange(WIDTH // HEADS, device=positions.device)
    speeds = TOKEN / _TRAINED_TOKEN / (2 * math.pi) * 10_000.0 ** (-(feature // 2 * 2).double() / _ROTARY)
    turns = positions[..., None].double() * speeds * (feature < _ROTARY)  # those after are not turned
    angle = ((turns - turns.round()) * (2 * math.pi)).float()
    return torch.stack([angle.cos(), angle.sin()], dim=-2)


_LAYER = ("norm1", "qkv", "out", "norm2", "fc1", "fc1_bias", "fc2", "fc2_bias")


def _swap(like: Tensor) -> Tensor:
    """``(36, 36)``: of each pair of features, the first to the second's place and minus the second to the first's."""
    feature = torch.arange(WIDTH // HEADS, device=like.device)
    sign = 1 - 2 * (feature % 2)  # 1 for the first of a pair
    turned = sign * (feature < _ROTARY)
    return (turned[:, None] * (feature == (feature + sign)[:, None])).to(like.dtype)
