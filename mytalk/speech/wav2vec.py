"""Runs wav2vec 2.0 as a streaming front: the published network, frozen, in blocks of one motion frame.

Baevski et al. 2020. The paper extracts features from the whole recording; a live session cannot, so the network hears
what a session has: the motion frame at hand (640 samples, two tokens of 20 ms) and a bounded past. Training, files and
live sessions hear alike. What differs from the published forward pass:

- A token ends where its 20 ms end: 80 zero samples stand before the recording, and features come 5 ms later in it.
- The positional convolution (its kernel reaches 1.28 s ahead) sees zeros after the motion frame at hand, which is what
  it sees at the end of every recording.
- Attention sees the motion frame at hand and ``lookback`` motion frames before it in every layer.
- Input to zero mean and unit variance (where the checkpoint's feature extractor does so): running moments of what was
  heard, 10 s of memory, and a prior of 0.2 s of speech at -26 dBFS.
- ``feat_extract_norm="group"`` (wav2vec2-base) norms its first convolution over the whole recording: here too running
  moments, whose prior is the convolution's answer to speech-like noise. With ``"layer"`` nothing is over time.

``benchmarks/models/speech.py --wav2vec FOLDER`` prints how far each of these moves the features of a network, and
the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.speech.attention import KeyValues, attend, block_mask
from mytalk.speech.interfaces import Front
from mytalk.speech.running_stats import Moments, running_moments, speech_noise

if TYPE_CHECKING:
    from transformers import Wav2Vec2Model

OFFLINE_FRAMES = 100
"""Motion frames of a whole recording that are run at a time: bounds memory, changes nothing."""

_SPEECH_VARIANCE = 0.05**2  # -26 dBFS: ITU-T P.56 active level that speech databases are set to


@dataclass(slots=True)
class Wav2VecState:
    """Holds what the next chunk still needs of the past. About 15 MB a session for 12 layers of 768 in float32."""

    position: Tensor  # (B,) tokens so far
    level: Moments  # of the samples, C = 1
    norm: Moments  # of the first convolution's channels; of none where its norm is not over time
    tails: list[Tensor]  # (B, C, kernel - stride) a convolution
    near: Tensor  # (B, C, k): what the positional convolution still sees
    caches: list[KeyValues]


class Wav2Vec2(Front[Wav2VecState]):
    """Runs ``transformers``' Wav2Vec2Model block-causally and in chunks. See ``load_wav2vec``.

    The network stands outside the module tree: it is not trained, averaged, counted or stored with what holds this
    front, but moves with it to a device or a precision.
    """

    def __init__(
        self, model: Wav2Vec2Model, *, lookback: int, normalise: bool = True, source: str, sha256: str
    ) -> None:
        """``lookback`` in motion frames; ``source`` and ``sha256`` as a checkpoint names the network."""
        super().__init__()
        config: Any = model.config
        self.source, self.sha256, self.normalise = source, sha256, normalise
        kernels, strides = list(config.conv_kernel), list(config.conv_stride)
        step, field = _geometry(kernels, strides)
        self.rate, self.width = FRAME_SAMPLES // step, config.hidden_size
        self.lookback = lookback * self.rate
        self._left = field - step
        self._over_time = config.feat_extract_norm == "group"
        self._network = (model.eval().requires_grad_(False),)  # type: ignore[no-untyped-call]
        self._position = config.num_conv_pos_embeddings // 2
        kernel, prior = self._position_kernel(model), self._first_norm_prior(model)
        self.register_buffer("position_kernel", kernel, persistent=False)
        self.register_buffer("prior", prior, persistent=False)
        self.position_kernel: Tensor
        self.prior: Tensor  # (2, C): mean and variance, always float32

    @property
    def model(self) -> Any:
        """Returns the network itself."""
        return self._network[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Wav2Vec2:
        prior = self.prior
        self.model._apply(fn)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.prior = prior.to(self.position_kernel.device)
        return self

    @torch.no_grad()
    def start(self, batch: int = 1) -> Wav2VecState:
        config, like = self.model.config, self.position_kernel
        heads, width = config.num_attention_heads, self.width
        convs = [layer.conv for layer in self.model.feature_extractor.conv_layers]
        state = Wav2VecState(
            torch.zeros(batch, dtype=torch.long, device=like.device),
            Moments.empty(batch, 1, like.device),
            Moments.empty(batch, self.prior.shape[1], like.device),
            [like.new_zeros(batch, conv.in_channels, 0) for conv in convs],
            like.new_zeros(batch, width, self._position),
            [KeyValues.empty(batch, heads, self.lookback, width, like) for _ in range(config.num_hidden_layers)],
        )
        with torch.autocast(like.device.type, enabled=False):
            self._convolve(like.new_zeros(batch, 1, self._left), state, None)
        return state

    @torch.no_grad()
    def stream(self, samples: Tensor, state: Wav2VecState) -> Tensor:
        with torch.autocast(samples.device.type, enabled=False):  # a trainer's mixed precision must not change features
            blocks = self._level(samples.float().unflatten(-1, (-1, FRAME_SAMPLES)), state)  # (B, T, 640)
            x = blocks.flatten(1)[:, None].to(self.position_kernel.dtype)  # (B, 1, 640 T)
            x = self._convolve(x, state, blocks.shape[1]).transpose(1, 2)  # (B, rate T, C)
            return self._transform(self.model.feature_projection(x)[0], state)

    @torch.no_grad()
    def offline(self, samples: Tensor) -> Tensor:
        state, whole = self.start(len(samples)), samples.shape[1] // FRAME_SAMPLES * FRAME_SAMPLES
        if not whole:
            return self.position_kernel.new_zeros(len(samples), 0, self.width)
        parts = samples[:, :whole].to(self.position_kernel.device).split(OFFLINE_FRAMES * FRAME_SAMPLES, dim=1)
        return torch.cat([self.stream(part, state) for part in parts], dim=1)

    def _level(self, blocks: Tensor, state: Wav2VecState) -> Tensor:
        """Scales samples ``(B, T, 640)`` to zero mean and unit variance of the past, if the network wants them so."""
        if not self.normalise:
            return blocks
        prior = blocks.new_zeros(1), blocks.new_full((1,), _SPEECH_VARIANCE)
        mean, variance = running_moments(blocks[:, :, None], state.level, prior)  # (B, T, 1)
        return (blocks - mean) * (variance + 1e-7).rsqrt()

    def _convolve(self, x: Tensor, state: Wav2VecState, frames: int | None) -> Tensor:
        """Applies the convolutions, ``(B, 1, S)`` to ``(B, C, tokens)``. ``frames`` None: zeros, which change no
        moments."""
        layers: list[Any] = list(self.model.feature_extractor.conv_layers)
        for index, layer in enumerate(layers):
            conv = layer.conv
            x = torch.cat([state.tails[index], x], dim=-1)
            (kernel,), (stride,) = conv.kernel_size, conv.stride
            count = max(0, (x.shape[-1] - kernel) // stride + 1)
            state.tails[index] = x[..., count * stride :]
            x = conv(x) if count else x.new_zeros(len(x), conv.out_channels, 0)
            if index == 0 and self._over_time:
                x = self._norm_over_time(x, layer.layer_norm, state.norm, frames)
            elif not self._over_time:
                x = layer.layer_norm(x.transpose(1, 2)).transpose(1, 2)
            x = layer.activation(x)
        return x

    def _norm_over_time(self, x: Tensor, norm: nn.GroupNorm, moments: Moments, frames: int | None) -> Tensor:
        """Applies the first convolution's norm ``(B, C, N)``, with the moments of the past of each motion frame."""
        if frames is None:
            mean, variance = (part[None, None] for part in self.prior)
            frames = 1
        else:
            blocks = x.unflatten(-1, (frames, -1)).transpose(1, 2)  # (B, T, C, N / T)
            mean, variance = running_moments(blocks, moments, (self.prior[0], self.prior[1]))  # (B, T, C)
        scale = norm.weight * (variance + norm.eps).rsqrt()
        scale, shift = (part.transpose(1, 2)[..., None] for part in (scale, norm.bias - mean * scale))
        normed: Tensor = x.unflatten(-1, (frames, -1)) * scale + shift  # (B, C, T, N / T)
        return normed.flatten(2).to(x.dtype)

    def _transform(self, x: Tensor, state: Wav2VecState) -> Tensor:
        """Applies the transformer ``(B, n, C)`` over its bounded past."""
        encoder, stable = self.model.encoder, self.model.config.do_stable_layer_norm
        mask = block_mask(x.shape[1], self.rate, self.lookback, x.device, state.position)
        state.position = state.position + x.shape[1]
        x = x + self._positions(x, state)
        x = x if stable else encoder.layer_norm(x)
        for layer, cache in zip(encoder.layers, state.caches, strict=True):
            mixed = _attention(layer.attention, layer.layer_norm(x) if stable else x, mask, cache)
            x = x + mixed if stable else layer.layer_norm(x + mixed)
            x = x + layer.feed_forward(layer.final_layer_norm(x) if stable else x)
            x = x if stable else layer.final_layer_norm(x)
        out: Tensor = encoder.layer_norm(x) if stable else x
        return out

    def _positions(self, x: Tensor, state: Wav2VecState) -> Tensor:
        """Applies the positional convolution of ``(B, n, C)``, blind to what lies behind each motion frame."""
        embed = self.model.encoder.pos_conv_embed
        groups = embed.conv.groups
        extended = torch.cat([state.near, x.transpose(1, 2)], dim=-1)
        state.near = extended[..., extended.shape[-1] - self._position :]
        out = F.conv1d(extended, self.position_kernel, stride=self.rate, groups=groups)  # (B, groups * rate * C', T)
        out = out.unflatten(1, (groups, self.rate, -1)).permute(0, 4, 2, 1, 3)  # (B, T, rate, groups, C')
        return embed.activation(out.flatten(3).flatten(1, 2) + embed.conv.bias)  # type: ignore[no-any-return]

    def _position_kernel(self, model: Any) -> Tensor:
        """Cuts the positional kernel at the block's end, once for each token of a block: ``(groups * rate * C', C',
        k)``.

        Token p of a block sees ``k // 2`` tokens before itself and the block's other ``rate - 1 - p`` after.
        """
        conv = model.encoder.pos_conv_embed.conv
        weight = conv.weight.detach().unflatten(0, (conv.groups, -1))  # (groups, C', C', k)
        length = self._position + self.rate
        phases = []
        for phase in range(self.rate):
            own = weight[..., : length - phase]
            phases.append(F.pad(own, (phase, length - phase - own.shape[-1])))
        return torch.stack(phases, dim=1).flatten(0, 2).contiguous()

    @torch.no_grad()
    def _first_norm_prior(self, model: Any) -> Tensor:
        """Returns mean and variance ``(2, C)`` of the first convolution over speech-like noise; ``C`` = 0 where
        unused."""
        if not self._over_time:
            return torch.zeros(2, 0)
        conv = model.feature_extractor.conv_layers[0].conv
        out = conv(speech_noise(SAMPLE_RATE)[None, None].to(conv.weight)).float()[0]  # (C, N)
        return torch.stack([out.mean(-1), out.var(-1, correction=0)])


def _attention(attention: Any, x: Tensor, mask: Tensor, cache: KeyValues) -> Tensor:
    q, k, v = (
        part(x).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)  # (B, H, n, D)
        for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    k, v = cache.extend(k, v)
    return attention.out_proj(attend(q, k, v, mask))  # type: ignore[no-any-return]


def _geometry(kernels: list[int], strides: list[int]) -> tuple[int, int]:
    """Returns the samples between two tokens, and the samples that one token sees."""
    step, field = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * step
        step *= stride
    return step, field
