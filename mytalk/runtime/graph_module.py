"""Defines modules of torch that can be exported as graphs: `mytalk.runtime.onnx_export` exports them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class GraphSpec:
    """Says what of a module becomes a graph.

    ``function`` is a bound method of tensors; ``example`` holds its arguments by name, in order, for one session.
    ``free_axes``: how many of an argument's first axes may have another length in a call, 2 at most; 0 where it is not
    named. ``state``: names of the last arguments, which are a stream's state: their examples are its start.
    """

    function: Callable[..., tuple[Tensor, ...]]
    example: Mapping[str, Tensor]
    free_axes: Mapping[str, int]
    state: tuple[str, ...] = ()


class GraphModule(nn.Module, ABC):
    """Defines a module that can run as a graph."""

    @abstractmethod
    def graph_spec(self) -> GraphSpec:
        """Says what of this module becomes the graph."""
