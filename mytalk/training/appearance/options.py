"""Defines options of ``mytalk train appearance``: the ``[appearance]`` table of a TOML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mytalk.errors import OptionError
from mytalk.training.run.config import TrainingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class AppearanceOptions(TrainingOptions):
    """Holds the options. The defaults are the plain recipe of MyTalk, section 3.4: L1, KL, patch discriminator,
    references at random."""

    # How rows are drawn.
    by_person: bool = False  # every person equally often; otherwise every frame
    drawn: Literal["random", "bank"] = "random"  # references: any frames of the clip, or such as a session's bank has
    same_frame: float = 1.0  # share of rows painted into the very frame that is wanted; the others into one near it
    jitter: float = 0.0  # noise of the landmarks, pixels of the 128 crop, as generated ones have
    augment: bool = False  # light, colour, blur, compression, mirroring, place

    # What is asked of a picture.
    whole: bool = True  # the loss is on all that the network paints; otherwise on the mouth region, which is taken
    kl_weight: float = 1e-6  # of the latents' divergence, a mean over their elements
    mouth_weight: float = 0.0  # by how much lips and the inside of the mouth count more than the rest
    gradient_weight: float = 0.0  # of the L1 of the pictures' slopes
    texture_weight: float = 0.0  # of the mean slope of 8 x 8 pixels: as much texture as filmed, not the same

    # The discriminator.
    patch_weight: float = 0.5
    patch_start: int = 0  # the step from which it takes part
    patch_rate: float = 0.0  # its own constant learning rate; 0: that of the generator
    patch_betas: tuple[float, float] = (0.5, 0.9)
    balance: bool = True  # its pull on the last layer is made as strong as that of all else (Esser et al. 2021, eq. 7)
    trust: bool = False  # it is listened to as far as it sees a difference
    detail: bool = False  # it sees the middle without low frequencies, which drown the detail

    def __post_init__(self) -> None:
        if not 0 <= self.same_frame <= 1:
            raise OptionError(f"same_frame {self.same_frame}: need a share, 0 to 1")
        if self.patch_start < 0:
            raise OptionError(f"patch_start {self.patch_start}: need a step, 0 or later")
