"""Windows of several sessions through the motion model at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from mytalk.cuda import to_device, to_host
from mytalk.motion.conditions import Conditions
from mytalk.motion.model import MotionModel
from mytalk.motion.sampler import DDIM
from mytalk.motion.windows import Window

_FIELDS = tuple(field.name for field in fields(Conditions))


@dataclass(frozen=True, slots=True)
class MotionRequest:
    """One session's window, ready to be sampled. Batches of one: what the model made is on its device, the rest on the
    CPU, from where a batch of many goes in one piece."""

    window: Window
    noise: Tensor  # (1, T, K)
    given: Conditions
    steps: int


def sample_together(model: MotionModel, requests: Sequence[MotionRequest]) -> list[Tensor]:
    """The motion ``(rows, K)`` of each request, on the CPU; they ask for equally many steps.

    Shorter windows are padded and masked: in a batch each gets what it would get alone, to rounding.
    """
    steps = requests[0].steps
    if any(request.steps != steps for request in requests):
        raise ValueError(f"requests of {sorted({request.steps for request in requests})} steps: need one number")
    rows = [request.window.rows for request in requests]
    noise = torch.cat([_padded(request.noise, max(rows)) for request in requests])
    given = _joined([request.given for request in requests], rows)
    device = model.device
    there = {name: to_device(one, device) for name in _FIELDS if (one := getattr(given, name)) is not None}
    motion = to_host(model.sample(to_device(noise, device), Conditions(**there), DDIM(steps)))
    return [motion[place, :count] for place, count in enumerate(rows)]


def _joined(given: Sequence[Conditions], rows: Sequence[int]) -> Conditions:
    longest = max(rows)
    valid = None
    if min(rows) < longest:
        valid = torch.arange(longest) < torch.tensor(rows)[:, None]
    guesses = [one.guess for one in given if one.guess is not None]
    return Conditions(
        torch.cat([_padded(one.speech, longest) for one in given]),
        torch.cat([_padded(one.upper, longest) for one in given]),
        torch.cat([one.identity for one in given]),
        torch.cat([_padded(one.history, longest) for one in given]),
        torch.cat([_padded(one.known, longest) for one in given]),
        valid,
        torch.cat([_padded(guess, longest) for guess in guesses]) if guesses else None,
    )


def _padded(rows: Tensor, length: int) -> Tensor:
    """``(1, T, ...)`` with zeros up to ``length`` rows."""
    missing = length - rows.shape[1]
    return F.pad(rows, (0, 0) * (rows.dim() - 2) + (0, missing)) if missing else rows
