"""The paper's ablations: every row is a config of its own, and one call trains, measures and prints them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import av
import pytest

from mytalk import Picture
from mytalk.errors import OptionError
from mytalk.face import Face
from mytalk.motion.model import Denoiser
from mytalk.training.ablations.rows import read_rows, render
from mytalk.training.ablations.runner import Grid, run_grid, write_film
from mytalk.training.data.store import ClipStore
from mytalk.training.run.config import Config, parse_config, read_config
from tests.mytalk.support.aligned_faces import write_faces

SMALL = """
preset = "edge"
[sizes]
speech = { width = 16 }
identity = { width = 16, embedding = 8 }
motion = { layers = 1, width = 16, ffn = 16, heads = 2 }
[sizes.appearance]
framing = "face"
size = 32
window = 64
hidden = 8
decoder_hidden = 8
decoder_blocks = 1
fusion_hidden = 8
norm_groups = 4
residual = false
discriminator_hidden = 8
[identity]
steps = 2
batch = 4
[motion]
steps = 2
batch = 2
frames = 30
history = [0, 10]
[appearance]
steps = 2
batch = 2
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, portrait: Picture, portrait_face: Face) -> Path:
    return write_faces(tmp_path_factory.mktemp("faces"), portrait, portrait_face, ("anna", "ben", "cleo"))


def test_rows_of_the_papers_tables_are_all_there_and_differ() -> None:
    rows = read_rows()
    assert [sum(row.table == table and bool(row.paper) for row in rows) for table in (5, 6, 7)] == [4, 3, 3]
    ours = [row for row in rows if row.name.startswith("ours") and row.table != 7]
    assert len({row.run for row in ours}) == 1  # tables 5 and 6 share their first row
    assert len({row.run for row in rows}) == len(rows) - 1


@pytest.mark.parametrize("name", ["paper", "edge", "tiny"])
def test_every_motion_row_builds_from_every_config(name: str) -> None:
    config = read_config(name)
    small = {"layers": 1, "width": 16, "ffn": 16, "heads": 2}
    small_motion = dataclasses.replace(config.preset.motion, **small)  # type: ignore[arg-type]
    small_config = dataclasses.replace(config, preset=dataclasses.replace(config.preset, motion=small_motion))
    shapes = set()
    for row in read_rows():
        if row.table == 5:
            preset = row.config(small_config).preset
            shapes.add((tuple(Denoiser(preset).prefix.weight.shape), preset.motion.conditioning))
    assert len(shapes) >= 4  # concatenated rows see more than those that attend or add


def test_a_config_without_such_sizes_is_refused() -> None:
    row = dataclasses.replace(read_rows()[0], sizes={"motion": {"colour": 1}})
    with pytest.raises(OptionError, match="colour"):
        row.config(read_config("tiny"))


def test_a_clip_as_a_film_has_its_pictures_and_its_sound(data: Path, tmp_path: Path) -> None:
    store = ClipStore(data)
    write_film(store, 0, tmp_path / "film.mkv")
    with av.open(str(tmp_path / "film.mkv")) as film:
        pictures = sum(1 for _ in film.decode(video=0))
    with av.open(str(tmp_path / "film.mkv")) as film:
        samples = sum(frame.samples for frame in film.decode(audio=0))
    assert pictures == store.entries[0].frames
    assert samples == len(store.sound(0))


def _grid(config: Config, data: Path, output: Path, hold_out: tuple[str, ...]) -> Grid:
    return Grid(config, [data], output, hold_out, clips=1, rows=2, device="cpu")


@pytest.mark.slow
def test_one_call_trains_measures_and_goes_on(data: Path, tmp_path: Path) -> None:
    rows = [row for row in read_rows() if row.name in ("w/o ID loss", "ours (masked multi-ref.)")]
    grid = _grid(parse_config("small", SMALL), data, tmp_path, ("cleo",))
    text = run_grid(grid, rows=rows)
    assert "Table 6" in text
    assert "7.010" not in text  # a row that was not asked for
    measured = json.loads((tmp_path / "ablations.json").read_text())
    assert -1 <= measured["motion-cross-embedding-0.0"]["correlation"] <= 1
    assert 0 < measured["appearance-3-true"]["psnr"] < 60
    said: list[str] = []
    assert run_grid(grid, said.append, rows=rows) == text
    assert said == ["identity"]  # nothing was trained again


def test_data_without_held_out_people_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="hold-out"):
        run_grid(_grid(read_config("tiny"), data, tmp_path, ()))


def test_a_missing_figure_is_a_dash() -> None:
    text = render(read_rows(), {"appearance-3-true": {"psnr": 30.123}})
    assert "30.12" in text
    assert "34.15" in text
    assert text.count(" -") > 20
