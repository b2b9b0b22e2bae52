"""One TOML file: what is written in it arrives, and what is misspelt is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytalk.errors import OptionError
from mytalk.presets import PRESETS
from mytalk.training.run.config import TrainingOptions, parse_config, read_config
from mytalk.training.run.schedule import learning_rate

TEXT = """
preset = "edge"
[sizes.motion]
layers = 2
[motion]
steps = 300
learning_rate = 1
betas = [0.9, 0.98]
hold_out = ["anna"]
"""


def test_sizes_and_options_arrive() -> None:
    config = parse_config("my.toml", TEXT)
    assert config.preset.motion.layers == 2
    assert config.preset.motion.width == PRESETS["edge"].motion.width
    options = config.options("motion", TrainingOptions, batch=4, workers=None)
    assert options == TrainingOptions(steps=300, learning_rate=1.0, betas=(0.9, 0.98), hold_out=("anna",), batch=4)
    assert config.options("identity", TrainingOptions) == TrainingOptions()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('preset = "edge"\n[sizes.motion]\nlayer = 2', r"my.toml: \[sizes.motion\] layer: no such option"),
        ('preset = "edge"\n[sizes.motion]\nlayers = "two"', r"\[sizes.motion\] layers = 'two': need int"),
        ('preset = "edge"\n[moton]', "unknown key 'moton'"),
        ('preset = "edgy"', "preset 'edgy' is unknown"),
        ('preset = "edge', "not TOML"),
        ('preset = "edge"\n[motion]\nstep = 3', r"\[motion\] step: no such option"),
        ('preset = "edge"\n[motion]\nsteps = true', r"\[motion\] steps = True: need int"),
        ('preset = "edge"\n[motion]\nschedule = "linear"', "need 'constant', 'inverse_square_root', 'cosine'"),
        ('preset = "edge"\n[motion]\nbetas = [0.9]', r"betas = \[0.9\]: need"),
    ],
)
def test_a_misspelt_option_is_named(text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        parse_config("my.toml", text).options("motion", TrainingOptions)


def test_a_file_that_is_not_there_says_which_configs_ship(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"need a TOML file or one of .*edge"):
        read_config(tmp_path / "none.toml")


def test_inverse_square_root_rises_and_falls() -> None:
    options = TrainingOptions(schedule="inverse_square_root", warm_up=100, learning_rate=1.0)
    assert learning_rate(options, 49, 10_000) == pytest.approx(0.5)
    assert learning_rate(options, 99, 10_000) == pytest.approx(1.0)
    assert learning_rate(options, 399, 10_000) == pytest.approx(0.5)
    cooled = TrainingOptions(cool_down=0.2, learning_rate=1.0)
    assert learning_rate(cooled, 799, 1000) == 1.0
    assert learning_rate(cooled, 999, 1000) < 0.02
