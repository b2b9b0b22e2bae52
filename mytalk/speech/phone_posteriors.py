"""Estimates which phones are spoken: posteriors of a Gaussian-mixture acoustic model that many speakers trained.

The model is CMU Sphinx's for English (Alpha Cephei, BSD licence beside it): 42 phones and noises of three states each,
three streams of cepstra, and for each phone and stream 128 Gaussians that its states weigh. Only states without context
are kept, and no language model: posteriors depend on one moment, whatever was said before.
`mytalk.training.speech.acoustic_model` makes the file from the `pocketsphinx` package.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mytalk.media_time import FRAME_SAMPLES
from mytalk.speech.cepstra import Cepstra, CepstraState
from mytalk.speech.filters import HOP
from mytalk.speech.frozen_weights import phone_weights
from mytalk.speech.interfaces import Front

PHONES = 42
STATES = 3

_SOFTNESS = 0.4  # of log likelihoods: neighbouring moments are no independent witnesses
_LEAST = -6.0  # log posterior


class PhonePosteriors(Front[CepstraState]):
    """Maps 16 kHz samples to log posteriors of 42 phones, 100 a second, each 30 ms after its moment; from -1 to 1."""

    rate = FRAME_SAMPLES // HOP
    width = PHONES

    def __init__(self) -> None:
        super().__init__()
        self.cepstra = Cepstra()
        for name, array in phone_weights().items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)
        self.linear: Tensor  # (3, 42, 27, 128)
        self.weights: Tensor  # (3, 42, 128, 3)

    def start(self, batch: int = 1) -> CepstraState:
        return self.cepstra.start(batch)

    def stream(self, samples: Tensor, state: CepstraState) -> Tensor:
        states = torch.log_softmax(_SOFTNESS * self.likelihoods(self.cepstra(samples, state)), dim=-1)
        phones = states.reshape(*states.shape[:2], PHONES, STATES).logsumexp(-1)
        return phones.clamp(min=_LEAST) / 3 + 1

    def offline(self, samples: Tensor) -> Tensor:
        whole = samples[:, : samples.shape[-1] // FRAME_SAMPLES * FRAME_SAMPLES]
        state = self.start(len(samples))
        chunks = whole.split(_CHUNK_FRAMES * FRAME_SAMPLES, dim=-1)
        return torch.cat([self.stream(chunk, state) for chunk in chunks], dim=1)

    def likelihoods(self, cepstra: Tensor) -> Tensor:
        """Returns log likelihoods ``(B, N, 126)`` of the states, a phone's three together, for cepstra ``(B, N, 3,
        13)``."""
        rows = cepstra.flatten(0, 1).transpose(0, 1)[:, None]  # (3, 1, B N, 13)
        terms = torch.cat([rows.square(), rows, torch.ones_like(rows[..., :1])], dim=-1)
        each = terms @ self.linear  # (3, 42, B N, 128)
        nearest = each.amax(-1, keepdim=True)
        shares = (each - nearest).exp() @ self.weights
        likelihoods_of_states = (shares.clamp(min=1e-30).log() + nearest).sum(0).transpose(0, 1)  # (B N, 42, 3)
        return likelihoods_of_states.reshape(*cepstra.shape[:2], -1)  # a graph keeps what unflatten makes of it


_CHUNK_FRAMES = 50  # motion frames of a recording
