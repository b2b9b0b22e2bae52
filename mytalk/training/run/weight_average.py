"""Averages a network's weights over training steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Keeps an exponential moving average of all floating-point weights of a network, in float32.

    Early on it follows faster, (1 + n) / (10 + n), so that it does not remember the random start.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network = network
        self._decay = decay
        self.weights: dict[str, Tensor] = {
            name: tensor.detach().float().clone() for name, tensor in _floating(network).items()
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Adds the weights after ``step`` steps."""
        keep = min(self._decay, (1 + step) / (10 + step))
        now = [tensor.float() for tensor in _floating(self._network).values()]
        torch._foreach_lerp_(list(self.weights.values()), now, 1 - keep)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Opens a block in which the network has its averaged weights, and is in eval mode."""
        tensors = _floating(self._network)
        trained = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        training = self._network.training
        with torch.no_grad():
            for name, tensor in tensors.items():
                tensor.copy_(self.weights[name])
        self._network.eval()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, tensor in tensors.items():
                    tensor.copy_(trained[name])
            self._network.train(training)


def _floating(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
