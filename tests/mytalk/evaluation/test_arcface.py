"""IDsim with a network made on the spot."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mytalk.errors import UnreadableError, WeightsError
from mytalk.evaluation.arcface import FIVE_POINTS, ArcFace, IdentitySimilarity, aligned, alignment, five_points
from mytalk.evaluation.moment import Moment, Pair
from mytalk.face import Face
from mytalk.picture import Picture, VideoFrame


def tiny_network(path: Path, side: int = 112) -> Path:
    """Embeds a face as the mean of each colour."""
    inputs = [helper.make_tensor_value_info("face", TensorProto.FLOAT, ["N", 3, side, side])]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 3])]
    pool = helper.make_node("GlobalAveragePool", ["face"], ["mean"])
    flat = helper.make_node("Flatten", ["mean"], ["embedding"])
    graph = helper.make_graph([pool, flat], "tiny", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, str(path))
    return path


def flat(*colour: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((112, 112, 3), colour, np.uint8)


def test_embeddings_are_normalised_rgb_of_length_one(tmp_path: Path) -> None:
    network = ArcFace(tiny_network(tmp_path / "tiny.onnx"))
    np.testing.assert_allclose(network(flat(255, 127, 128)), [1, 0, 0], atol=0.01)
    assert float(network(flat(255, 255, 0)) @ network(flat(255, 0, 0))) == pytest.approx(1 / 3, abs=1e-5)


def test_the_same_person_scores_one_and_another_colour_less(
    tmp_path: Path, portrait: Picture, portrait_face: Face
) -> None:
    network = ArcFace(tiny_network(tmp_path / "tiny.onnx"))
    other = Picture.from_rgb(255 - portrait.rgb())
    for generated, expected in ((portrait, pytest.approx(1, abs=1e-5)), (other, pytest.approx(-1, abs=0.1))):
        similarity = IdentitySimilarity(network)
        frames = (VideoFrame(picture, 0, 0, Fraction(1, 25)) for picture in (portrait, generated))
        similarity.push(Moment(Pair(*frames, portrait_face), portrait_face))
        assert similarity.scores() == {"id_similarity": expected}


def test_a_turned_face_is_brought_to_the_standard_points() -> None:
    turn = np.deg2rad(25)
    rotation = 3.1 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], np.float32)
    points = FIVE_POINTS @ rotation.T + np.float32([40, -7])
    matrix = alignment(points.astype(np.float32))
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], FIVE_POINTS, atol=1e-2)


def test_a_face_lands_near_the_standard_points(portrait: Picture, portrait_face: Face) -> None:
    matrix = alignment(five_points(portrait_face))
    landed = five_points(portrait_face) @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(landed - FIVE_POINTS).max() < 8
    assert aligned(portrait.rgb(), portrait_face).shape == (112, 112, 3)


def test_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no such file"):
        ArcFace(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("nothing")
    with pytest.raises(WeightsError, match="not an ONNX network"):
        ArcFace(tmp_path / "text.onnx")
    with pytest.raises(WeightsError, match="3 x 112 x 112"):
        ArcFace(tiny_network(tmp_path / "small.onnx", side=64))
