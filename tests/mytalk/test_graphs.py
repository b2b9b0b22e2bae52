"""CUDA graphs give what the function gives; where there is no CUDA, a call is a call."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mytalk.graphs import GRAPHS, CudaGraphs

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def scaled(x: Tensor, by: Tensor | None) -> Tensor:
    return x.sin() * 2 if by is None else x.sin() * by


@torch.inference_mode()
def test_every_call_gives_what_the_function_gives(device: str) -> None:
    graphs = CudaGraphs(scaled)
    for number in range(3 * (GRAPHS + 2)):
        x = torch.randn(1 + number % (GRAPHS + 2), 4, device=device)
        by = None if number % 2 else torch.full((4,), float(number), device=device)
        torch.testing.assert_close(graphs(x, by), scaled(x, by))


@torch.inference_mode()
def test_a_result_stays_when_the_next_call_comes(device: str) -> None:
    graphs = CudaGraphs(scaled)
    kept = [graphs(torch.full((2,), float(number), device=device), None) for number in range(8)]
    for number, result in enumerate(kept):
        torch.testing.assert_close(result, scaled(torch.full((2,), float(number), device=device), None))


@torch.inference_mode()
def test_a_function_that_cannot_be_recorded_is_called(device: str) -> None:
    def waits(x: Tensor) -> Tensor:
        return x * float(x.sum())  # asks the device for a number, which no graph can

    graphs = CudaGraphs(waits)
    for number in range(6):
        x = torch.full((3,), float(number), device=device)
        torch.testing.assert_close(graphs(x), waits(x))


def test_where_gradients_may_be_wanted_a_call_is_a_call(device: str) -> None:
    x = torch.ones(2, device=device, requires_grad=True)
    for _ in range(6):
        assert CudaGraphs(scaled)(x, None).requires_grad
