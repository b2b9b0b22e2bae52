"""Defines what the renderer asks of an appearance model, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import ReferenceBank
from mytalk.appearance.kernel import Followed, Network
from mytalk.appearance.mesh import Points
from mytalk.appearance.paint import Prepared
from mytalk.appearance.preset import AppearancePreset
from mytalk.appearance.scene import Frame, Planes, Scene
from mytalk.picture import Picture


@dataclass(frozen=True, slots=True)
class Job:
    """Describes a mouth that is wanted in a picture. Points are crop pixels."""

    picture: Picture
    frame: Frame  # the same picture
    source: Points  # (169, 2): where its lower face is
    wanted: Points  # (169, 2): and where it shall be
    face: NDArray[np.float32] | None  # (478, 2): all landmarks that were tracked
    opacity: float
    detail: float  # of the picture: `bank.detail_of`
    foreign: bool = False  # whether the bank's mouths look otherwise than the picture's: no object is told by them


class Painter(Protocol):
    """Paints one mouth after the other of one session.

    ``reuse_residual`` lets a painter reuse a network's output for a second frame, at some cost to the picture; without
    ``refinement`` no network and no mean of mouths is used where a warp can stand alone. Both may be set at any time.
    """

    reuse_residual: bool
    refinement: bool

    def paint(self, bank: ReferenceBank, job: Job) -> Picture:
        """Paints a mouth from a bank that is not empty. Raises FloatingPointError where a model gave NaN."""
        ...


class Kernel(Protocol):
    """Renders the frames of sessions that warp mouths. Any thread may call it."""

    def prepare(self, scene: Scene, followed: Followed, cover: NDArray[np.float32], network: Network) -> Prepared:
        """Returns what a network is shown of a frame."""
        ...

    def finish(
        self, scene: Scene, followed: Followed, cover: NDArray[np.float32], network: Network, one: Prepared | None
    ) -> Planes:
        """Renders a frame, of which ``one`` may be prepared already. ``cover`` ``(32, 32)`` goes from frame to frame
        and is changed."""
        ...


class Refiner(Protocol):
    """Refines warped mouths by a network of a residual preset. Any thread may call it."""

    @property
    def preset(self) -> AppearancePreset: ...

    def refine(
        self, references: NDArray[np.float32], non_lip: NDArray[np.float32], landmarks: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Returns what is added to the first reference ``(W, W, 3)``, of references ``(R, W, W, 3)`` and pictures
        ``(W, W, 3)`` in units of `mytalk.appearance.network_inputs.Exposure`."""
        ...


class Appearance(Protocol):
    """Runs the second stage for any number of sessions."""

    @property
    def preset(self) -> AppearancePreset: ...

    def new_painter(self) -> Painter:
        """Returns the painter of a new session."""
        ...
