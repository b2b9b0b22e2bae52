"""Tensors to a GPU and back through page-locked memory, which its copy engine reads while the CPU goes on."""

from __future__ import annotations

import torch
from torch import Tensor

from mytalk.cuda_graph import finished


def to_device(values: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """``values`` there, in ``dtype`` where one is given. The caller may change or free its own at once."""
    if device.type != "cuda" or values.is_cuda:
        return values.to(device, dtype)
    there = values.pin_memory().to(device, non_blocking=True)  # whose memory is kept until the copy is done
    return there if dtype is None else there.to(dtype)


def to_host(values: Tensor) -> Tensor:
    """``values`` on the CPU, once the device has made them."""
    if not values.is_cuda:
        return values
    here = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    here.copy_(values, non_blocking=True)
    finished((values,))
    return here
