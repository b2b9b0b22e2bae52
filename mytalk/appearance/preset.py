"""Defines the sizes of the appearance model. A preset is data: the classes are the same for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mytalk.errors import PresetError

REFERENCES = 3
"""Reference mouths that the network sees for each frame, unless a preset says otherwise."""


@dataclass(frozen=True, slots=True)
class AppearancePreset:
    """Lists the sizes of encoders, FusionNet, decoder and discriminator.

    >>> PAPER.latent_side
    32
    """

    size: int  # side of the mouth crop, in pixels
    window: int  # side of what the network sees, in pixels: a part of the mouth crop, or the face (twice the crop)
    stem: int  # pixels a side that one cell of the first layer covers (pixel-unshuffle)
    hidden: int  # channels at the highest resolution of the encoders
    multipliers: tuple[int, ...]  # channels / hidden at each resolution; each step but the first halves the side
    blocks: int  # ResNet blocks at each resolution of an encoder
    decoder_hidden: int
    decoder_blocks: int  # ResNet blocks at each resolution of the decoder
    middle: bool  # two more blocks with attention between them at the lowest resolution
    fusion_hidden: int
    fusion_blocks: int
    latent: int  # channels of each latent
    norm_groups: int  # of GroupNorm; 0 leaves normalisation out
    residual: bool  # refines mesh-warped references; otherwise paints the picture
    discriminator_hidden: int  # training only
    discriminator_layers: int
    # A window of the mouth crop, mouths warped; or the whole face, not warped.
    framing: Literal["mouth", "face"] = "mouth"
    references: int = REFERENCES  # pictures of other frames that the network sees
    masked: bool = True  # of which it sees the mouth region alone
    enough: int = 0  # mouths in the bank from which on a residual preset's network is not run; 0: it always is
    decoder_middle: int = 0  # blocks of the decoder's middle with attention around each; 0: as the encoder's

    def __post_init__(self) -> None:
        cell = self.stem << (len(self.multipliers) - 1)
        if self.window % cell:
            raise PresetError(f"appearance window {self.window} must be a multiple of one latent cell, {cell} pixels")
        widths = [self.hidden, self.decoder_hidden, self.fusion_hidden]
        if self.norm_groups and any(width % self.norm_groups for width in widths):
            raise PresetError(f"appearance widths {widths} must be multiples of norm_groups, {self.norm_groups}")
        if self.references < 1:
            raise PresetError(f"appearance needs one reference or more: got {self.references}")
        if self.framing == "face" and (self.residual or self.window != 2 * self.size):
            raise PresetError(
                f"appearance framing 'face' paints all of a face twice as wide as the mouth crop of {self.size}: "
                f"need residual false, window {2 * self.size}"
            )
        if self.framing == "mouth" and (self.window > self.size or not self.masked):
            raise PresetError(
                f"appearance framing 'mouth' sees masked mouths in a window of the crop: need masked true, "
                f"window {self.size} at most, or framing 'face'"
            )

    @property
    def latent_side(self) -> int:
        """Returns the side of a latent, in cells."""
        return self.window // self.stem >> (len(self.multipliers) - 1)

    @property
    def outputs(self) -> int:
        """Returns the channels of the decoder: RGB, and what each further reference adds to the first."""
        return 3 + (self.references - 1 if self.residual else 0)


# MyTalk, table 9: 3 x 237 M, 4.8 M, 280 M and 17.5 M parameters, latents of 3 channels. Its 8 ResNet blocks are read
# as all of an encoder's: eight at each resolution would come to the same count at 3 times the arithmetic.
PAPER = AppearancePreset(
    size=128,
    window=256,
    stem=1,
    hidden=256,
    multipliers=(1, 2, 4, 6),
    blocks=2,
    decoder_hidden=256,
    decoder_blocks=2,
    middle=True,
    fusion_hidden=256,
    fusion_blocks=4,
    latent=3,
    norm_groups=32,
    residual=False,
    discriminator_hidden=160,
    discriminator_layers=3,
    framing="face",
    decoder_middle=3,
)

# Any 2-core CPU: one cell of all features covers 4 x 4 pixels, and detail comes from the references themselves.
EDGE = AppearancePreset(
    size=128,
    window=96,
    stem=4,
    hidden=32,
    multipliers=(1,),
    blocks=1,
    decoder_hidden=48,
    decoder_blocks=2,
    middle=False,
    fusion_hidden=48,
    fusion_blocks=1,
    latent=8,
    norm_groups=0,
    residual=True,
    discriminator_hidden=24,
    discriminator_layers=3,
    enough=12,
)
