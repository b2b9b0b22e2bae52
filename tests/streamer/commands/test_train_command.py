"""``mytalk train`` from its command line: clean errors, the end said in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mytalk
from streamer.cli import main
from tests.mytalk.support.small_store import make_store


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("command_data"))


def test_identity_then_motion_then_a_student(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    common = ("--config", "tiny", "--data", str(data), "--device", "cpu")
    assert main(["train", "identity", *common, "-o", str(tmp_path / "id"), "--steps", "2", "--batch", "4"]) == 0
    motion = ("train", "motion", *common, "--identity", str(tmp_path / "id"), "-o", str(tmp_path / "m"))
    assert main([*motion, "--steps", "2", "--batch", "2"]) == 0
    said = capfd.readouterr()
    assert f"{tmp_path / 'm'}: 2 steps; x0" in said.out
    assert said.err.splitlines()[-1] == "motion: 2 of 2 steps"
    assert main([*motion, "--steps", "2", "--batch", "2"]) == 0
    assert "nothing left to do" in capfd.readouterr().out
    distill = ("train", "distill", *common, "--teacher", str(tmp_path / "m"), "-o", str(tmp_path / "s"))
    assert main([*distill, "--student-steps", "2", "--steps", "2", "--batch", "2"]) == 0
    assert f"{tmp_path / 's'}: 2 steps; loss" in capfd.readouterr().out


def test_a_run_does_not_go_on_with_another_config(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shipped = (Path(mytalk.__file__).parent / "training" / "configs" / "tiny.toml").read_text()
    other = tmp_path / "other.toml"
    other.write_text(shipped.replace("learning_rate = 2e-3", "learning_rate = 0.03", 1))
    common = ("--data", str(data), "--device", "cpu", "-o", str(tmp_path / "id"))
    assert main(["train", "identity", "--config", "tiny", *common, "--steps", "2", "--batch", "4"]) == 0
    before = (tmp_path / "id" / "config.toml").read_text()
    capfd.readouterr()
    assert main(["train", "identity", "--config", str(other), *common, "--steps", "4"]) == 2
    said = capfd.readouterr().err
    assert f"{tmp_path / 'id'} was begun with learning_rate " in said
    assert "not 0.03" in said
    assert (tmp_path / "id" / "config.toml").read_text() == before
    assert main(["train", "identity", "--config", "tiny", *common, "--steps", "3", "--batch", "2"]) == 0
    assert ": 3 steps" in capfd.readouterr().out


def test_offsets_are_measured_and_taken_away(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "offsets.tsv"
    weights = Path(mytalk.__file__).parent / "weights" / "edge"
    assert main(["train", "offsets", "--data", str(data), "--weights", str(weights), "-o", str(table)]) == 0
    assert "person2: " in capfd.readouterr().out
    common = ("--config", "tiny", "--data", str(data), "--device", "cpu", "--steps", "2")
    assert main(["train", "identity", *common, "-o", str(tmp_path / "id"), "--batch", "4"]) == 0
    motion = ("train", "motion", *common, "--identity", str(tmp_path / "id"), "--batch", "2")
    assert main([*motion, "--offsets", str(table), "-o", str(tmp_path / "m")]) == 0
    assert json.loads((tmp_path / "m" / "options.json").read_text())["sources"]["offsets"] == str(table)
    capfd.readouterr()
    assert main([*motion, "--tts-alone", "-o", str(tmp_path / "n")]) == 2
    assert "--tts-alone needs --tts" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--config", "none.toml", "--data", "DATA"), "need a TOML file or one of edge"),
        (("--config", "tiny", "--data", "missing"), "no manifest.jsonl in it (make it with mytalk train prepare"),
        (("--config", "tiny", "--data", "DATA", "--device", "tpu"), "device 'tpu': need auto, cpu or cuda"),
        (("--config", "tiny", "--data", "DATA", "--batch", "3", "--accumulate", "2"), "need a multiple of accumulate"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], given: tuple[str, ...], said: str
) -> None:
    words = [str(data) if word == "DATA" else word for word in given]
    assert main(["train", "identity", *words, "-o", str(tmp_path / "run")]) == 2
    errors = capfd.readouterr().err.splitlines()
    assert len(errors) == 1
    assert said in errors[0]
