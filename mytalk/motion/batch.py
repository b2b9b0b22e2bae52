"""Windows of several sessions through the motion model at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from mytalk.motion.conditions import Conditions, padded
from mytalk.motion.model import MotionModel
from mytalk.motion.sampler import DDIM
from mytalk.motion.windows import Window
from mytalk.runtime.cuda_graphs import to_device, to_host

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
    noise = torch.cat([padded(request.noise, 0, max(rows) - request.window.rows) for request in requests])
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
        torch.cat([padded(one.speech, 0, longest - one.speech.shape[1]) for one in given]),
        torch.cat([padded(one.upper, 0, longest - one.upper.shape[1]) for one in given]),
        torch.cat([one.identity for one in given]),
        torch.cat([padded(one.history, 0, longest - one.history.shape[1]) for one in given]),
        torch.cat([padded(one.known, 0, longest - one.known.shape[1]) for one in given]),
        valid,
        torch.cat([padded(guess, 0, longest - guess.shape[1]) for guess in guesses]) if guesses else None,
    )
