"""Merges the towers of the attention mesh: networks of one shape that each look at a crop become one with groups.

Lips and eyes have towers of their own, and irises leave those of their eyes half way. Most of what so small an operator
costs is the call, not the arithmetic: one operator on the channels of all towers side by side takes the time of one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mytalk.training.face.tflite_model import Operator, TfliteModel

SELECT, GROUPED = "SELECT", "GROUPED_CONV_2D"
"""Operators that TensorFlow Lite does not have: channels of a picture side by side, and a convolution in groups."""

_CROP = "TransformTensorBilinear"
_BLOCK = 16  # channels that ONNX Runtime keeps together: what each group needs a multiple of
_MERGED = ("CONV_2D", "DEPTHWISE_CONV_2D", "PRELU", "ADD", "MAX_POOL_2D", "PAD")


def merge_towers(model: TfliteModel) -> TfliteModel:
    """Returns the model with operators of equal shape, equally far from their crops, as one on all their channels."""
    return _Merger(model).run()


class _Merger:
    """Rewrites one model. A merged tensor holds the channels of its members, which are tensors of the model."""

    def __init__(self, model: TfliteModel) -> None:
        self._model = model
        self._constants = dict(model.constants)
        self._shapes = dict(model.shapes)
        self._operators: list[Operator] = []
        self._merged: dict[tuple[int, ...], int] = {}  # members -> the tensor that holds them
        self._home: dict[int, tuple[int, ...]] = {}  # member -> it and those beside it

    def run(self) -> TfliteModel:
        depths: dict[int, int] = {}
        levels: dict[tuple[Any, ...], list[Operator]] = defaultdict(list)
        plain = []
        for operator in self._model.operators:
            if operator.name == "DEQUANTIZE":
                (stored,), (number,) = operator.inputs, operator.outputs
                self._constants[number] = self._constants[stored].astype(np.float32)
                continue
            inside = [depths[number] for number in operator.inputs if number in depths]
            if operator.name != _CROP and not inside:
                plain.append(operator)
                continue
            depths[operator.outputs[0]] = depth = 1 + max(inside, default=0)
            shapes = tuple(self._model.shapes[number] for number in (*operator.inputs, *operator.outputs))
            levels[depth, operator.name, shapes].append(operator)
        self._operators += plain
        for (_, name, _), members in sorted(levels.items(), key=lambda level: level[0][0]):
            channels = self._shapes[members[0].outputs[0]][-1]
            if name in _MERGED and len(members) > 1 and channels % _BLOCK == 0:
                self._merge(members)
            else:
                self._operators += [self._apart(operator) for operator in members]
        return replace(self._model, operators=tuple(self._operators), shapes=self._shapes, constants=self._constants)

    def _merge(self, operators: Sequence[Operator]) -> None:
        first = operators[0]
        inputs = [self._together([operator.inputs[0] for operator in operators])]
        options = dict(first.options)
        name = first.name
        if name == "ADD":
            inputs.append(self._together([operator.inputs[1] for operator in operators]))
        elif name == "PRELU":
            inputs.append(self._joined(operators, 1, axis=-1))
        elif name == "DEPTHWISE_CONV_2D":
            inputs += [self._joined(operators, 1, axis=-1), self._joined(operators, 2, axis=0)]
        elif name == "CONV_2D":
            name, options["Groups"] = GROUPED, len(operators)
            inputs += [self._joined(operators, 1, axis=0), self._joined(operators, 2, axis=0)]
        elif name == "PAD":
            options["Groups"] = len(operators)
            inputs.append(first.inputs[1])
        members = tuple(operator.outputs[0] for operator in operators)
        self._operators.append(Operator(name, tuple(inputs), (self._hold(members),), options))

    def _apart(self, operator: Operator) -> Operator:
        inputs = (self._together([number]) if number in self._home else number for number in operator.inputs)
        return replace(operator, inputs=tuple(inputs))

    def _together(self, members: list[int]) -> int:
        """Returns the tensor that holds these members in this order, which is selected where there is none."""
        wanted = tuple(members)
        if wanted not in self._merged:
            if len(wanted) == 1 and wanted[0] not in self._home:
                return wanted[0]
            sources = [self._home.get(member, (member,)) for member in wanted]
            places = [home.index(member) for home, member in zip(sources, wanted, strict=True)]
            whole = [self._merged.get(home, home[0]) for home in sources]
            number = self._new((*self._shapes[wanted[0]][:-1], self._channels(wanted)))
            self._operators.append(Operator(SELECT, tuple(whole), (number,), {"Places": tuple(places)}))
            self._merged[wanted] = number
        return self._merged[wanted]

    def _hold(self, members: tuple[int, ...]) -> int:
        number = self._new((*self._shapes[members[0]][:-1], self._channels(members)))
        self._merged[members] = number
        self._home |= dict.fromkeys(members, members)
        return number

    def _channels(self, members: Sequence[int]) -> int:
        return sum(self._shapes[member][-1] for member in members)

    def _joined(self, operators: Sequence[Operator], place: int, axis: int) -> int:
        parts: list[NDArray[Any]] = [self._constants[operator.inputs[place]] for operator in operators]
        values = np.concatenate(parts, axis=axis)
        number = self._new(values.shape)
        self._constants[number] = values
        return number

    def _new(self, shape: tuple[int, ...]) -> int:
        number = len(self._shapes)
        self._shapes[number] = shape
        return number
