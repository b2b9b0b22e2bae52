"""Samples windows of several sessions in one batch."""

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
    """Holds one session's window, ready to be sampled, as a batch of one.

    What the model made is on its device, the rest on the CPU, from where a batch of many is copied in one piece.
    """

    window: Window
    noise: Tensor  # (1, T, K)
    conditions: Conditions
    steps: int


def sample_together(model: MotionModel, requests: Sequence[MotionRequest]) -> list[Tensor]:
    """Samples the motion ``(rows, K)`` of each request, returned on the CPU; all must ask for equally many steps.

    Shorter windows are padded and masked: in a batch each gets what it would get alone, to rounding.
    """
    steps = requests[0].steps
    if any(request.steps != steps for request in requests):
        raise ValueError(f"requests of {sorted({request.steps for request in requests})} steps: need one number")
    rows = [request.window.rows for request in requests]
    noise = torch.cat([padded(request.noise, 0, max(rows) - request.window.rows) for request in requests])
    conditions = _joined([request.conditions for request in requests], rows)
    device = model.device
    moved = {name: to_device(one, device) for name in _FIELDS if (one := getattr(conditions, name)) is not None}
    motion = to_host(model.sample(to_device(noise, device), Conditions(**moved), DDIM(steps)))
    return [motion[index, :count] for index, count in enumerate(rows)]


def _joined(conditions: Sequence[Conditions], rows: Sequence[int]) -> Conditions:
    longest = max(rows)
    valid = None
    if min(rows) < longest:
        valid = torch.arange(longest) < torch.tensor(rows)[:, None]
    estimates = [one.estimate for one in conditions if one.estimate is not None]
    return Conditions(
        torch.cat([padded(one.speech, 0, longest - one.speech.shape[1]) for one in conditions]),
        torch.cat([padded(one.upper, 0, longest - one.upper.shape[1]) for one in conditions]),
        torch.cat([one.identity for one in conditions]),
        torch.cat([padded(one.history, 0, longest - one.history.shape[1]) for one in conditions]),
        torch.cat([padded(one.known, 0, longest - one.known.shape[1]) for one in conditions]),
        valid,
        torch.cat([padded(estimate, 0, longest - estimate.shape[1]) for estimate in estimates]) if estimates else None,
    )
