"""Builds a preset's speech front and encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor

from mytalk.errors import OptionError, PresetError, WeightsError
from mytalk.presets import SpeechPreset
from mytalk.speech.conformer import TOKENS, ConformerEncoder
from mytalk.speech.encoder import SpeechEncoder
from mytalk.speech.interfaces import Encoder, Front
from mytalk.speech.mel import LogMel
from mytalk.speech.mel_phones import MelPhones
from mytalk.speech.wav2vec_loader import PASS, load_wav2vec

MISSING = f"this preset hears through wav2vec 2.0 and was given no network: {PASS}, or a name on the hub"


class NoFront(Front[None]):
    """Stands in where a model is built without its front: to count its parameters, to train or to load its other
    parts."""

    rate, width = TOKENS, 0

    def start(self, batch: int = 1) -> NoReturn:
        raise PresetError(MISSING)

    def stream(self, samples: Tensor, state: None) -> NoReturn:
        raise PresetError(MISSING)

    def offline(self, samples: Tensor) -> NoReturn:
        raise PresetError(MISSING)


def is_built_in(preset: SpeechPreset) -> bool:
    """Says whether the front is in the package, and cheap enough to run over each clip once before training."""
    return preset.front != "wav2vec2"


def build_front(preset: SpeechPreset) -> Front[Any]:
    """Builds the front of a preset, if it needs no weights from elsewhere; see `load_front`."""
    return _built_in(preset) if is_built_in(preset) else NoFront()


def _built_in(preset: SpeechPreset) -> Front[Any]:
    return MelPhones() if preset.front == "mel_phones" else LogMel()


def build_encoder(preset: SpeechPreset) -> Encoder[Any]:
    """Builds the encoder of a preset, with random weights."""
    return SpeechEncoder(preset) if is_built_in(preset) else ConformerEncoder(preset)


def load_front(
    preset: SpeechPreset, speech_model: str | Path | None = None, trained_with: dict[str, str] | None = None
) -> Front[Any]:
    """Loads the front of a preset. ``speech_model`` is the wav2vec 2.0 folder or hub name.

    ``trained_with`` is what a checkpoint says of its own (``source``, ``sha256``): loaded by that name where no
    ``speech_model`` is given, and another network is refused.

    Raises OptionError where the preset needs no speech model, PresetError where it needs one that is not given, not
    found or of another size, WeightsError for another network than the checkpoint's.
    """
    if is_built_in(preset):
        if speech_model is not None:
            raise OptionError(f"speech model {str(speech_model)!r}: this preset hears log-mel and needs none")
        return _built_in(preset)
    source = speech_model or (trained_with or {}).get("source")
    if source is None:
        raise PresetError(MISSING)
    front = load_wav2vec(source, lookback=preset.lookback)
    if (front.rate, front.width) != (TOKENS, preset.features):
        given = f"{front.width} wide, {front.rate} a motion frame"
        raise PresetError(f"{source}: its features are {given}; this preset needs {preset.features} and {TOKENS}")
    if trained_with is not None and front.sha256 != trained_with["sha256"]:
        raise WeightsError(
            f"{source}: not the network that this checkpoint was trained with ({trained_with['source']}, SHA-256 over"
            f" its tensors {trained_with['sha256'][:12]}..., given {front.sha256[:12]}...); pass that one"
        )
    return front
