"""Batches streaming states: joins sessions of different age in one batch, and separates them.

Every tensor of a state has the session on its first axis, and the same shape at every age.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

State = TypeVar("State")


def stack_states(states: Sequence[State]) -> State:
    """Joins states to one of a batch, in order."""
    return _across(torch.cat, states)  # type: ignore[no-any-return]


def select_state(state: State, index: int) -> State:
    """Returns one session's state out of a batch; it shares memory with the batch's until either moves on."""
    return _across(lambda tensors: tensors[0][index : index + 1], [state])  # type: ignore[no-any-return]


def tensors_of(state: Any) -> list[Tensor]:
    """Lists all tensors of a state, in a fixed order."""
    found: list[Tensor] = []

    def note(tensors: list[Tensor]) -> Tensor:
        found.append(tensors[0])
        return tensors[0]

    _across(note, [state])
    return found


def with_tensors(state: State, tensors: Sequence[Tensor]) -> State:
    """Makes a state like this one, of other tensors in the order of `tensors_of`."""
    rest = iter(tensors)
    return _across(lambda _: next(rest), [state])  # type: ignore[no-any-return]


def put_tensors(state: Any, tensors: Sequence[Tensor]) -> None:
    """Replaces a state's tensors in place, in the order of `tensors_of`."""
    newer = with_tensors(state, tensors)
    for field in fields(state):
        setattr(state, field.name, getattr(newer, field.name))


def _across(apply: Callable[[list[Tensor]], Tensor], parts: Sequence[Any]) -> Any:
    first = parts[0]
    if isinstance(first, Tensor):
        return apply(list(parts))
    if isinstance(first, list):
        return [_across(apply, same) for same in zip(*parts, strict=True)]
    if is_dataclass(first):
        names = [field.name for field in fields(first)]
        kind: Any = type(first)
        return kind(**{name: _across(apply, [getattr(part, name) for part in parts]) for name in names})
    return first
