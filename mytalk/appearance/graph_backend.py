"""Refines mouths by a graph, on the CPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.preset import AppearancePreset
from mytalk.appearance.warped_reference import WarpedReference
from mytalk.runtime.onnx_graph import Graph


@dataclass
class GraphAppearance:
    """Runs the graph of a residual preset's `mytalk.appearance.model.AppearanceModel`. Any thread may call it."""

    preset: AppearancePreset
    graph: Graph

    def new_painter(self) -> WarpedReference:
        """Returns the painter of a new session."""
        return WarpedReference(self)

    def refine(
        self, references: NDArray[np.float32], non_lip: NDArray[np.float32], landmarks: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Returns what is added to the first reference ``(S, S, 3)``, of references ``(R, S, S, 3)`` and pictures
        ``(S, S, 3)``."""
        added: NDArray[np.float32] = self.graph(references[None], non_lip[None], landmarks[None])[0][0]
        return added
