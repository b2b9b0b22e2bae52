"""The paper preset is as large as the paper says, component by component."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from benchmarks.models import parameters
from mytalk.presets import PRESETS

COUNTED = parameters.rows(PRESETS["paper"])


def test_every_component_of_table_9_is_counted() -> None:
    assert list(COUNTED) == list(parameters.TABLE_9)


@pytest.mark.parametrize("name", parameters.TABLE_9)
def test_a_component_has_the_papers_size_within_three_percent(name: str) -> None:
    assert COUNTED[name].ours == pytest.approx(parameters.TABLE_9[name], rel=0.03)


@pytest.mark.parametrize("name", [name for name in parameters.TABLE_9 if "quant conv" in name])
def test_one_by_one_convolutions_are_exact(name: str) -> None:
    assert COUNTED[name].ours == parameters.TABLE_9[name]


def test_components_are_all_that_the_models_have() -> None:
    """Apart from the motion space's buffers, nothing with weights is left out of the count."""
    with torch.device("meta"):
        models = parameters.MotionModel(PRESETS["paper"]), parameters.AppearanceModel(PRESETS["paper"].appearance)
    whole = sum(parameters.parameters(model) for model in models)
    assert COUNTED["all"].ours == whole + COUNTED["discriminator"].ours


def test_json_holds_ours_the_papers_and_the_difference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["parameters.py", "--preset", "paper", "--json"])
    parameters.main()
    written = json.loads(capsys.readouterr().out)
    assert written["components"]["decoder"] == {
        "ours": COUNTED["decoder"].ours,
        "paper": 280e6,
        "difference_percent": COUNTED["decoder"].difference_percent,
    }
