"""The first layers of a speech recogniser, live: what was said, whoever said it.

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

`mytalk.training.recogniser` makes the file from the ``moonshine-voice`` package, `mytalk.training.recogniser_live` what
is added to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import torch
from safetensors.torch import load
from torch import Tensor
from torch.nn import functional as F

from mytalk.graph import Graph, Graphed
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.speech.attention import attend
from mytalk.speech.running import Moments, running_moments, speech_noise

FILE = "moonshine_tiny_en.safetensors"
LIVE_FILE = "moonshine_tiny_en_live.safetensors"
WIDTH = 288
LAYERS = 3
HEADS = 8
CONTEXT = 40
"""Motion frames before those that are asked for: they are remembered, and not heard anew."""

_TOKEN = 320  # samples
_TRAINED_TOKEN = 384  # of the published network
TOKENS = FRAME_SAMPLES // _TOKEN  # a motion frame
_STRIDE, _KERNEL = 64, 127  # of the first convolution
_FIELD = 13  # outputs of the first convolution that a token sees
_LEFT = _KERNEL + (_FIELD - 1) * _STRIDE - _TOKEN  # samples that it sees before its own
_ROTARY = 32  # of a head's 36 features
_AT_ONCE = 64  # frames of a recording: bounds memory
_SPEECH_LEVEL = 0.05  # -26 dBFS: ITU-T P.56 active level that speech databases are set to


@dataclass(slots=True)
class MoonshineState:
    """What the next chunk still needs of the past: 0.7 MB a session of the profile ``balanced``."""

    heard: Tensor  # (B,) tokens so far
    samples: Tensor  # (B, 575)
    norm: Moments  # of the first convolution, all channels together
    tokens: Tensor  # (B, 2 n, 288) of the convolutions, zeros where nothing was heard yet
    seen: Tensor  # (B, LAYERS, 2, HEADS, 2 * (CONTEXT + n), 36) keys and values up to the newest token


class Moonshine(Graphed):
    """16 kHz samples to what the third layer says of the newest motion frames, 288 features each. Nothing is trained,
    and nothing of it is in a state dict. ``live``: with the weights that are changed for what a session has heard.
    """

    def __init__(self, live: bool = True) -> None:
        super().__init__()
        self._graphs: tuple[Graph, Graph] | None = None  # of the later convolutions, and of the Transformer
        stored = {name: tensor.float() for name, tensor in _read(FILE).items()}
        if live:
            stored |= changed(stored, {name: tensor.float() for name, tensor in _read(LIVE_FILE).items()})
        for name, tensor in stored.items():
            self.register_buffer(name.replace(".", "_"), tensor, persistent=False)
        first = self._first(_SPEECH_LEVEL * speech_noise(SAMPLE_RATE)[None])
        prior = torch.stack([first.mean(), first.var(correction=0)])
        self.register_buffer("prior", prior, persistent=False)
        self.prior: Tensor  # mean and variance of the first convolution
        self.conv1_weight: Tensor
        self.conv2_weight: Tensor
        self.conv2_bias: Tensor
        self.conv3_weight: Tensor
        self.conv3_bias: Tensor
        self.norm_weight: Tensor
        self.norm_bias: Tensor

    def start(self, frames: int, rows: int = 1) -> MoonshineState:
        """The state of ``rows`` sessions that have heard nothing and will ask for the newest ``frames``."""
        like = self.conv2_bias
        return MoonshineState(
            torch.zeros(rows, dtype=torch.long, device=like.device),
            like.new_zeros(rows, _LEFT),
            Moments.empty(rows, 1, like.device),
            like.new_zeros(rows, TOKENS * frames, WIDTH),
            like.new_zeros(rows, LAYERS, 2, HEADS, TOKENS * (CONTEXT + frames), WIDTH // HEADS),
        )

    @torch.no_grad()
    def forward(self, samples: Tensor, state: MoonshineState) -> Tensor:
        """The next samples ``(B, 640 T)``, T at least 1, to features ``(B, n, 288)`` of the newest motion frames; zeros
        for those before the first sample."""
        with torch.autocast(samples.device.type, enabled=False):  # a trainer's mixed precision must not change features
            for chunk in samples.float().split(state.tokens.shape[1] * _TOKEN, dim=1):
                features = self._hear(chunk, state)
            return features

    @torch.no_grad()
    def each(self, samples: Tensor, frames: int, step: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """A recording ``(640 T,)`` from its start: numbers ``(n,)`` of motion frames, every ``step``-th, and what
        ``forward`` gives when each is the newest and the last one was before, ``(n, frames, 288)``; some at a time."""
        state = self.start(frames)
        ends = torch.arange(0, len(samples) // FRAME_SAMPLES, step, device=samples.device)
        first = 0
        for newest in ends.split(_AT_ONCE):
            told = []
            for end in (FRAME_SAMPLES * (newest + 1)).tolist():
                told.append(self(samples[None, first:end], state)[0])
                first = end
            yield newest, torch.stack(told)

    def _hear(self, samples: Tensor, state: MoonshineState) -> Tensor:
        """No more samples than there are of the tokens that are asked for."""
        asked = state.tokens.shape[1]
        fresh = self.stem(samples, state)
        state.tokens = torch.cat([state.tokens, fresh], dim=1)[:, fresh.shape[1] :]
        state.heard = state.heard + fresh.shape[1]
        before = TOKENS * CONTEXT
        places = state.heard[:, None] + torch.arange(-before - asked, 0, device=samples.device)
        known = places >= 0
        past = state.seen[..., fresh.shape[1] : fresh.shape[1] + before, :]
        run = self._transform if self._graphs is None else self._graphs[1]
        features, seen = run(state.tokens, known[:, before:], turn_of(places[:, before:]), past, known[:, :before])
        state.seen = torch.cat([past, seen], dim=-2)
        return features

    @property
    def layers(self) -> list[dict[str, Tensor]]:
        """Weights of each layer by name, as `transform` takes them."""
        return [{name: getattr(self, f"layers_{index}_{name}") for name in _LAYER} for index in range(LAYERS)]

    def _first(self, samples: Tensor) -> Tensor:
        """The first convolution ``(B, S)`` to ``(B, 288, n)``."""
        return F.conv1d(samples[:, None], self.conv1_weight, stride=_STRIDE).tanh()

    def stem(self, samples: Tensor, state: MoonshineState) -> Tensor:
        """The convolutions ``(B, 640 T)`` to ``(B, 2 T, 288)``.

        The second's outputs that the third reads lie 3 of the first's apart, as in the published network; tokens lie 5
        apart, so every token has its own.
        """
        heard = torch.cat([state.samples, samples], dim=1)
        state.samples = heard[:, heard.shape[1] - _LEFT :]
        frames, per_frame = samples.shape[1] // FRAME_SAMPLES, FRAME_SAMPLES // _STRIDE
        x = self._first(heard)  # (B, 288, 5 n + 8): the last 5 of a token's 13 are its own
        own = x[..., x.shape[-1] - frames * per_frame :].unflatten(-1, (frames, per_frame)).transpose(1, 2)
        moments = running_moments(own.flatten(2)[:, :, None], state.norm, (self.prior[:1], self.prior[1:]))
        mean, variance = (part.transpose(1, 2).repeat_interleave(TOKENS, -1) for part in moments)  # (B, 1, n)
        scale = (variance + 1e-5).rsqrt()[..., None] * self.norm_weight[:, None, None]
        x = x.unfold(-1, _FIELD, _TOKEN // _STRIDE)  # (B, 288, n, 13)
        x = (x - mean[..., None]) * scale + self.norm_bias[:, None, None]
        x = x.transpose(1, 2).flatten(0, 1)  # (B n, 288, 13)
        run = self._convolve if self._graphs is None else self._graphs[0]
        made: Tensor = run(x)[0].unflatten(0, (len(samples), -1))
        return made

    def to_graph(self) -> None:
        state, before = self.start(1), TOKENS * CONTEXT
        past = state.seen[..., :before, :]
        known, kept = state.tokens[..., 0] == 0, past[:, 0, 0, 0, :, 0] == 0
        example = {"tokens": state.tokens, "known": known, "turn": turn_of(known.long()), "past": past, "kept": kept}
        self._graphs = (
            Graph(self, self._convolve, {"x": state.tokens.new_zeros(TOKENS, WIDTH, _FIELD)}, {"x": 1}),
            Graph(self, self._transform, example, {"tokens": 2, "known": 2, "turn": 2, "past": 1, "kept": 1}),
        )

    def _convolve(self, x: Tensor) -> tuple[Tensor]:
        """What tokens see of the first convolution, ``(N, 288, 13)``, to the tokens ``(N, 288)``."""
        # Convolutions as matrix products, which are quicker at so few places.
        places = torch.stack([x[..., first : first + 7].flatten(1) for first in (0, 3, 6)], dim=1)
        x = F.gelu(F.linear(places, self.conv2_weight.flatten(1), self.conv2_bias))  # (N, 3, 576)
        return (F.gelu(F.linear(x.flatten(1), self.conv3_weight.transpose(1, 2).flatten(1), self.conv3_bias)),)

    def _transform(
        self, tokens: Tensor, known: Tensor, turn: Tensor, past: Tensor, kept: Tensor
    ) -> tuple[Tensor, Tensor]:
        return transform(tokens, known, turn, self.layers, past, kept)


def transform(
    x: Tensor,
    known: Tensor,
    turn: Tensor,
    layers: Sequence[Mapping[str, Tensor]],
    past: Tensor | None = None,
    kept: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The Transformer: tokens ``(B, 2 n, 288)``, of which ``known`` ``(B, 2 n)`` are attended to, to motion frames
    ``(B, n, 288)``, zeros for those that are not known; and the tokens' keys and values ``(B, LAYERS, 2, H, 2 n, 36)``.

    ``turn``: what `turn_of` gives of their numbers. ``past``: keys and values of the tokens before them, ``(B, LAYERS,
    2, H, P, 36)``, of which ``kept`` ``(B, P)`` are known.
    """
    mask = (known if kept is None else torch.cat([kept, known], dim=1))[:, None, None]
    seen = []
    for number, weights in enumerate(layers):
        y = F.layer_norm(x, (WIDTH,), weights["norm1"])
        q, k, v = (_heads(part) for part in F.linear(y, weights["qkv"]).chunk(3, dim=-1))
        q, k = _rotate(q, turn), _rotate(k, turn)
        seen.append(torch.stack([k, v], dim=1))
        if past is not None:
            k, v = torch.cat([past[:, number, 0], k], dim=2), torch.cat([past[:, number, 1], v], dim=2)
        mixed = attend(q, k, v, mask)
        x = x + F.linear(mixed, weights["out"])
        y = F.layer_norm(x, (WIDTH,), weights["norm2"])
        y = F.gelu(F.linear(y, weights["fc1"], weights["fc1_bias"]))
        x = x + F.linear(y, weights["fc2"], weights["fc2_bias"])
    frames: Tensor = (x * known[..., None]).unflatten(1, (-1, TOKENS)).mean(2)
    return frames, torch.stack(seen, dim=1)


def turn_of(places: Tensor) -> Tensor:
    """Cosines and sines ``(B, n, 2, 36)`` of the rotary positions of tokens by number ``(B, n)``. Su et al. 2021.

    Exact however long a session is: angles are made in 64 bits.
    """
    pairs = torch.arange(0, _ROTARY, 2, device=places.device, dtype=torch.float64)
    angle = places[..., None] * (_TOKEN / _TRAINED_TOKEN) * 10_000.0 ** (-pairs / _ROTARY)
    both = torch.stack([angle.cos(), angle.sin()], dim=-2).repeat_interleave(2, dim=-1).float()
    still = WIDTH // HEADS - _ROTARY  # features of a head that are not turned
    return torch.cat([both, both.new_tensor([[1.0] * still, [0.0] * still]).expand(*both.shape[:-1], still)], dim=-1)


def _heads(x: Tensor) -> Tensor:
    """``(B, 2 n, 288)`` to ``(B, H, 2 n, 36)``."""
    return x.reshape(*x.shape[:2], HEADS, -1).transpose(1, 2)  # a graph keeps what unflatten makes of it


def changed(weights: Mapping[str, Tensor], by: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of ``weights`` that ``by`` changes: matrices by a product of ``NAME.up`` ``(out, R)`` and ``NAME.down``
    ``(R, in)``, vectors by a sum. Hu et al. 2022, "LoRA"."""
    vectors = {name: weights[name] + part for name, part in by.items() if part.ndim == 1}
    pairs = {name.removesuffix(".up") for name in by if name.endswith(".up")}
    return vectors | {name: weights[name] + by[f"{name}.up"] @ by[f"{name}.down"] for name in pairs}


def _read(file: str) -> dict[str, Tensor]:
    return load((resources.files("mytalk") / "weights" / "speech" / file).read_bytes())


_LAYER = ("norm1", "qkv", "out", "norm2", "fc1", "fc1_bias", "fc2", "fc2_bias")


def _rotate(x: Tensor, turn: Tensor) -> Tensor:
    """The first 32 features of each head ``(B, H, n, 36)``, pairs of neighbours, turned."""
    return x * turn[:, None, :, 0] + x @ _swap().to(x) * turn[:, None, :, 1]


def _swap() -> Tensor:
    """``(36, 36)``: of each pair of features, the first to the second's place and minus the second to the first's."""
    first = torch.arange(0, _ROTARY, 2)
    swap = torch.zeros(WIDTH // HEADS, WIDTH // HEADS)
    swap[first, first + 1], swap[first + 1, first] = 1.0, -1.0
    return swap
