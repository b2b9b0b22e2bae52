"""A small data folder whose jaws drop with the loudness, and a preset folder without a readout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mytalk.checkpoint import save_preset
from mytalk.motion.model import MotionModel
from mytalk.presets import PRESETS
from mytalk.torch_checkpoint import save_tensors
from mytalk.training.data.people import fit_space, sample_people
from mytalk.training.data.store import ClipStore
from tests.mytalk.support.small_store import make_store


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("data"), people=3)


@pytest.fixture(scope="module")
def folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preset without a readout: random weights in a mouth space of the clips."""
    made = tmp_path_factory.mktemp("preset")
    torch.manual_seed(1)
    model = MotionModel(PRESETS["edge"])
    model.space.load_state_dict(fit_space(sample_people(ClipStore(data), 0), 24).state_dict())
    save_preset(made, PRESETS["edge"])
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("identity.")}
    save_tensors(made, "motion", own)
    save_tensors(made, "identity", model.identity.state_dict())
    return made
