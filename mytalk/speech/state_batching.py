"""Rows of streaming state: sessions of different age in one batch, and apart again.

Every tensor of a state has the session's row first, and the same shape at every age.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

State = TypeVar("State")


def stack_states(states: Sequence[State]) -> State:
    """One state whose rows are those of ``states``, in order."""
    return _across(torch.cat, states)  # type: ignore[no-any-return]


def row_of(state: State, index: int) -> State:
    """The state of one row alone; it shares memory with the batch's until either moves on."""
    return _across(lambda tensors: tensors[0][index : index + 1], [state])  # type: ignore[no-any-return]


def tensors_of(state: Any) -> list[Tensor]:
    """All tensors of a state, in an order of its own."""
    found: list[Tensor] = []

    def note(tensors: list[Tensor]) -> Tensor:
        found.append(tensors[0])
        return tensors[0]

    _across(note, [state])
    return found


def with_tensors(state: State, tensors: Sequence[Tensor]) -> State:
    """A state like this one, of other tensors in the order of `tensors_of`."""
    rest = iter(tensors)
    return _across(lambda _: next(rest), [state])  # type: ignore[no-any-return]


def put_tensors(state: Any, tensors: Sequence[Tensor]) -> None:
    """Brings a state up to date in place: its tensors are these, in the order of `tensors_of`."""
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
