"""Lists presets: the sizes of every model as frozen data. One code path builds them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mytalk.appearance.preset import EDGE, PAPER, AppearancePreset
from mytalk.errors import PresetError

WINDOW_FRAMES = 250
"""Motion frames that the denoiser sees at once: 10 s."""


@dataclass(frozen=True, slots=True)
class SpeechPreset:
    """Lists the sizes of the speech front and encoder; ``width`` is that of the encoder's output.

    ``mel``, and ``mel_phones`` which hears phones too, go with causal convolutions (``dilations``). ``wav2vec2`` goes
    with a Conformer: ``features`` wide coming in, ``layers`` of ``hidden``, ``heads`` and ``ffn`` within; its
    attention, and wav2vec's, look back over ``lookback`` motion frames a layer.
    """

    width: int
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 1, 2)
    dropout: float = 0.1
    front: Literal["mel", "mel_phones", "wav2vec2"] = "mel"
    features: int = 80
    hidden: int = 0
    layers: int = 0
    heads: int = 0
    ffn: int = 0
    lookback: int = 0

    def __post_init__(self) -> None:
        if self.front == "wav2vec2":
            for name in ("features", "hidden", "heads", "ffn", "lookback"):
                if getattr(self, name) < 1:
                    raise PresetError(f"speech {name} is {getattr(self, name)}: need at least 1 with wav2vec2")
            if self.hidden % (2 * self.heads):
                raise PresetError(f"speech hidden {self.hidden} must be a multiple of twice the heads, {self.heads}")


@dataclass(frozen=True, slots=True)
class IdentityPreset:
    """Lists the sizes of the identity extractor, an MLP over one frame's landmarks.

    ``inner`` is the inner width of residual layers; 0 stacks plain ones.
    """

    width: int
    layers: int = 4
    embedding: int = 64
    inner: int = 0


@dataclass(frozen=True, slots=True)
class MotionPreset:
    """Lists the sizes of the denoiser, a Conformer over windows of motion coefficients.

    ``coefficients`` is how many principal components of the lower face are diffused. Of people that the basis was not
    fitted on, 24 leave 0.002 of the eyes' distance (mean over points) and 128 leave 0.0001: as good as landmarks.
    ``identity_as`` says what the person is given as: the extractor's embedding, or the landmarks of one frame;
    ``conditioning`` how: attended to in each block, or concatenated with or added to the input (MyTalk, table 5).
    With ``own_conditions`` each block projects time, speech and identity for itself; without, all share one projection.
    ``upper_face`` says whether the filmed upper face is a condition, as in the paper. A tracked nose and cheek tell
    what the filmed mouth does: a model that sees them learns to follow the film, also where the speech is another one.
    ``window`` is the most motion frames sampled at a time, history among them: `WINDOW_FRAMES`, or about as many as the
    model was trained on, which cost less.
    ``readout`` is the share of the linear readout (`mytalk.speech.readout`) in motion; 0, as a preset is trained before
    ``mytalk train readout`` gives it one, has none.
    """

    layers: int
    width: int
    ffn: int
    heads: int
    kernel: int = 5
    dropout: float = 0.1
    coefficients: int = 24
    own_conditions: bool = False
    identity_as: Literal["embedding", "landmarks"] = "embedding"
    conditioning: Literal["cross", "concat", "add"] = "cross"
    upper_face: bool = True
    window: int = WINDOW_FRAMES
    readout: float = 0.0

    def __post_init__(self) -> None:
        if not 16 <= self.window <= WINDOW_FRAMES:
            raise PresetError(f"motion window {self.window}: need 16 to {WINDOW_FRAMES} frames")
        if not 0 <= self.readout <= 1:
            raise PresetError(f"motion readout {self.readout}: need a share, 0 to 1")
        if self.width % (2 * self.heads):
            raise PresetError(f"motion width {self.width} must be a multiple of twice the heads, {self.heads}")


@dataclass(frozen=True, slots=True)
class Profile:
    """Sets motion frames a window emits and looks ahead: latency against quality."""

    hop: int
    lookahead: int


PROFILES = {"low": Profile(2, 2), "balanced": Profile(2, 3), "quality": Profile(6, 6), "offline": Profile(12, 25)}
"""Profiles by name. ``offline`` is for files: a second of speech ahead predicts a mouth better than 240 ms."""


@dataclass(frozen=True, slots=True)
class Preset:
    """Lists everything that ``mytalk.load`` needs to build the models of one name.

    ``steps`` is the default number of DDIM steps.
    """

    name: str
    speech: SpeechPreset
    identity: IdentityPreset
    motion: MotionPreset
    appearance: AppearancePreset
    steps: int


PRESETS = {
    "edge": Preset(
        "edge",
        SpeechPreset(width=128, dropout=0.2, front="mel_phones", features=122),
        IdentityPreset(width=128),
        MotionPreset(layers=3, width=128, ffn=256, heads=4, dropout=0.2, upper_face=False),
        EDGE,
        steps=1,
    ),
    "paper": Preset(
        "paper",
        SpeechPreset(
            width=512, kernel=13, front="wav2vec2", features=768, hidden=768, layers=4, heads=8, ffn=2048, lookback=100
        ),
        IdentityPreset(width=768, embedding=768, inner=552),
        MotionPreset(layers=12, width=768, ffn=2048, heads=12, coefficients=128, own_conditions=True),
        PAPER,
        steps=8,
    ),
}
