"""Holds motion space as tensors, which are fitted, trained with and stored."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mytalk.face.landmarks import LOWER_COUNT
from mytalk.motion.space import DIMS, MotionSpace, Opening


class MotionSpaceModule(nn.Module, Opening):
    """Maps displacements ``(..., 169, 3)``, canonical, to coefficients ``(..., K)`` of unit variance, and back.

    Buffers, stored with the weights: ``basis (K, 507)`` orthonormal, ``scale (K,)`` standard deviations, and
    ``opening (507,)``, how the face moves for one unit of lip aperture.
    """

    def __init__(self, coefficients: int) -> None:
        super().__init__()
        self.basis: Tensor
        self.scale: Tensor
        self.opening: Tensor
        self.register_buffer("basis", torch.zeros(coefficients, LOWER_COUNT * DIMS))
        self.register_buffer("scale", torch.ones(coefficients))
        self.register_buffer("opening", torch.zeros(LOWER_COUNT * DIMS))

    def encode(self, displacement: Tensor) -> Tensor:
        """Maps displacements ``(..., 169, 3)`` to coefficients ``(..., K)``."""
        return displacement.flatten(-2) @ self.basis.T / self.scale

    def decode(self, coefficients: Tensor) -> Tensor:
        """Maps coefficients ``(..., K)`` to displacements ``(..., 169, 3)``."""
        rows: Tensor = (coefficients * self.scale) @ self.basis
        return rows.reshape(*rows.shape[:-1], LOWER_COUNT, DIMS)

    def direction(self) -> NDArray[np.float32]:
        return self.opening.cpu().numpy().reshape(LOWER_COUNT, DIMS)

    def arrays(self) -> MotionSpace:
        """Returns the space as arrays, as it is now."""
        return MotionSpace(*(one.cpu().numpy().copy() for one in (self.basis, self.scale, self.opening)))
