"""METHOD.md's table has every chosen number of ``mytalk``, with the value that the code has."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import numbers
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "mytalk"
METHOD = PACKAGE / "docs" / "METHOD.md"
MOST_NUMBERS = 9  # of one constant: longer ones are tables and lists of landmarks

NOT_CHOSEN = {
    # The layout of charts and strips.
    "evaluation/plots.py",
    "evaluation/strips.py",
    # Codes of formats, standards and libraries.
    "marking/code.py",
    "marking/payload.py",
    "picture.py",
    "training/data/shards.py",
    "training/run/atomic_write.py",
    "training/run/signals.py",
    "training/speech/acoustic_model.py",
    "training/voices/festival.py",
    "training/voices/phones.py",
    "face/networks.py:_ERRORS_ONLY",
    "training/face/networks.py",
    "training/face/onnx_writer.py",
    "training/face/operators.py",
    "training/face/reference.py",
    "training/face/towers.py",
    "media/exif.py:_EXIF_ORIENTATION",
    "media/video.py:_UNSPECIFIED",
    "media/video.py:_FULL_RANGE",
    "media/encoding.py:_LIMITED",
    "media/encoding.py:_BT709",
    "media/stored.py:_LIMITED_RANGE",
    "media/stored.py:_FULL_RANGE",
    "media/writer.py:_FULL",
    "runtime/onnx_graph.py:_ERRORS_ONLY",
    "training/voices/corpus.py:_FORMAT",
    "evaluation/metrics.py:_INF",
    # Follow from other constants.
    "marking/detector.py:FALSE_ALARM",
    # Positions, shapes and neutral values.
    "appearance/mesh.py:INNER_TRIANGLES",
    "appearance/batched/geometry.py:_FAR",
    "appearance/batched/geometry.py:_LAST",
    "appearance/batched/light.py:_BLOCK",
    "appearance/batched/masks.py:_LAST",
    "appearance/colour_match.py:_ONE",
    "appearance/colour_match.py:_ZERO",
    "appearance/compose.py:ADDED",
    "appearance/compose.py:_HALF",
    "appearance/compose.py:_NEXT",
    "appearance/compose.py:_QUARTER",
    "appearance/sampling.py:ONE",
    "appearance/sampling.py:_FAR",
    "appearance/sampling.py:_NEAR",
    "appearance/compose.py:KEPT",
    "appearance/compose.py:MOUTH_X",
    "appearance/compose.py:MOUTH_Y",
    "appearance/compose.py:MOVED",
    "appearance/compose.py:PAINTED",
    "appearance/compose.py:SKIN_X",
    "appearance/compose.py:SKIN_Y",
    "appearance/kernel.py:FINISH",
    "appearance/kernel.py:PREPARE",
    "appearance/mask.py:_LAST",
    "appearance/mask.py:_ROOT_HALF",
    "appearance/mouth_interior.py:TOOTH_GAPS",
    "appearance/occlusion.py:_BLOCK",
    "appearance/occlusion.py:_ONE",
    "appearance/occlusion.py:_ZERO",
    "appearance/warp.py:_LAST",
    "appearance/warp.py:SKIN_TRIANGLES",
    "training/appearance/rows.py:_NO_PIXELS",
    "evaluation/arcface.py:_MESH",
    "controls/action_units.py:_CHEEK",
    "controls/action_units.py:_CHIN",
    "controls/action_units.py:_CHIN_SIDE",
    "controls/action_units.py:_CORNER",
    "controls/action_units.py:_LOWER_LIP",
    "controls/action_units.py:_LOWER_LIP_SIDE",
    "controls/action_units.py:_NASOLABIAL",
    "controls/action_units.py:_UPPER_LIP",
    "controls/action_units.py:_UPPER_LIP_SIDE",
    "controls/emotion.py:UPPER_UNITS",
    "face/appearance_match.py:_CORNERS",
    "face/detector.py:_RIGHT_EYE",
    "face/detector.py:_LEFT_EYE",
    "face/mesh.py:_RIGHT_EYE",
    "face/mesh.py:_LEFT_EYE",
    "face/landmarks.py:INNER_UPPER",
    "face/landmarks.py:INNER_LOWER",
    "face/landmarks.py:CORNERS",
    "training/appearance/examples.py:_CORNER",
    "training/appearance/rows.py:_IDENTITY",
    "training/appearance/task.py:_SHOWN",
    "training/data/clip_members.py:_TICK",
    "motion/agreement.py:_CHIN",
    "motion/agreement.py:_UPPER_LIP",
    "motion/agreement.py:_LOWER_LIP",
    "training/motion/distill.py:_PICTURE_FRAMES",
    "training/motion/examples.py:UNHEARD",
    "training/motion/task.py:_PICTURE_FRAMES",
    "training/speech/voice_readout.py:SEED",
    "training/speech/voice_readout.py:_BILABIAL",
    "training/speech/voice_readout.py:_SILENCE",
    "training/voices/visemes.py:_CHIN",
    "training/voices/visemes.py:_TOP",
    "training/voices/visemes.py:_BOTTOM",
    "training/voices/visemes.py:_FINE_RATE",
}
ESPEAK_CODES = re.compile(r"training/voices/espeak\.py:_(?!WORDS_A_MINUTE|CLOSURE|SILENT)")


class Row(NamedTuple):
    """Holds one line of the table."""

    file: str
    name: str
    value: str


@cache
def rows() -> list[Row]:
    pattern = re.compile(r"^\| `([\w/]+\.py)` \| `([^`]+)` \| ([^|]+) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
    return [Row(*found) for found in pattern.findall(METHOD.read_text())]


def module_of(file: str) -> Any:
    return importlib.import_module(".".join(("mytalk", *Path(file).with_suffix("").parts)))


def value_of(row: Row) -> Any:
    """The value of ``NAME``, ``Class.field`` (its default) or ``TABLE["key"].field`` in the code."""
    module = module_of(row.file)
    if entry := re.fullmatch(r'(\w+)\["(\w+)"\]([.\w]*)', row.name):
        value = getattr(module, entry[1])[entry[2]]
        for attribute in filter(None, entry[3].split(".")):
            value = getattr(value, attribute)
        return dataclasses.astuple(value) if dataclasses.is_dataclass(value) else value
    name, _, field = row.name.partition(".")
    value = getattr(module, name)
    return next(one.default for one in dataclasses.fields(value) if one.name == field) if field else value


def literals_in(row: Row) -> set[float]:
    """Numbers that stand in the function or class ``a.b()``."""
    node: Any = ast.parse((PACKAGE / row.file).read_text())
    for part in row.name.removesuffix("()").split("."):
        node = next(one for one in node.body if getattr(one, "name", None) == part)
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and is_number(one.value)}


def is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_chosen(value: object) -> bool:
    """Whether it is a number, or a few of them."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiu" and value.size <= MOST_NUMBERS
    if isinstance(value, tuple):
        return 0 < len(value) < MOST_NUMBERS and all(is_chosen(one) for one in value)
    return is_number(value)


def constants() -> Iterator[str]:
    """``file:NAME`` of each number that a module of the package assigns."""
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        targets: list[ast.expr] = []
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign):
                targets += node.targets
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                targets.append(node.target)
        names = [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
        if names and path.name != "__init__.py":
            module = module_of(file)
            yield from (f"{file}:{name}" for name in names if is_chosen(getattr(module, name, None)))


def test_the_table_is_read() -> None:
    assert len(rows()) > 300
    assert len({(row.file, row.name) for row in rows()}) == len(rows())


@pytest.mark.parametrize("file", sorted({row.file for row in rows()}))
def test_values_are_those_of_the_code(file: str) -> None:
    for row in rows():
        if row.file != file:
            continue
        if row.name.endswith("()"):
            assert {float(one) for one in row.value.split(", ")} <= literals_in(row), row
        else:
            value = value_of(row)
            actual = np.asarray(float(value) if isinstance(value, Fraction) else value, np.float64)
            documented = np.asarray(ast.literal_eval(row.value), np.float64)
            assert documented.shape == actual.shape, row
            assert np.allclose(documented, actual, rtol=1e-5, atol=0), row


def test_every_chosen_number_is_in_the_table() -> None:
    named = {f"{row.file}:{row.name}" for row in rows()}
    missing = {
        constant
        for constant in set(constants()) - named - NOT_CHOSEN
        if constant.partition(":")[0] not in NOT_CHOSEN and ESPEAK_CODES.match(constant) is None
    }
    assert not missing, f"no line in METHOD.md: {sorted(missing)}"


def test_what_is_left_out_is_there() -> None:
    there = set(constants())
    files = {constant.partition(":")[0] for constant in there}
    assert not {one for one in NOT_CHOSEN if one not in there and one not in files}
