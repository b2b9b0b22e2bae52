"""Two fronts side by side: the log-mel spectrogram, and the phones that an acoustic model hears in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mytalk.speech.cepstra import CepstraState
from mytalk.speech.mel import MELS, LogMel, MelState
from mytalk.speech.phone_posteriors import PHONES, PhonePosteriors
from mytalk.speech.seam import Front


@dataclass(slots=True)
class MelPhonesState:
    """What the next chunk needs of the past, of either front."""

    mel: MelState
    phones: CepstraState


class MelPhones(Front[MelPhonesState]):
    """16 kHz samples to rows of 80 log-mel bands and 42 phone posteriors, 100 a second. No learned parameters."""

    rate = LogMel.rate
    width = MELS + PHONES

    def __init__(self) -> None:
        super().__init__()
        self.mel, self.phones = LogMel(), PhonePosteriors()

    def start(self, rows: int = 1) -> MelPhonesState:
        return MelPhonesState(self.mel.start(rows), self.phones.start(rows))

    def stream(self, samples: Tensor, state: MelPhonesState) -> Tensor:
        both = (self.mel.stream(samples, state.mel), self.phones.stream(samples, state.phones))
        return torch.cat(both, dim=-1)

    def offline(self, samples: Tensor) -> Tensor:
        mel, phones = self.mel.offline(samples), self.phones.offline(samples)
        return torch.cat([mel[:, : phones.shape[1]], phones], dim=-1)
