"""Canonical face space: there and back, blind to where the head is, smooth in time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mytalk.face import Face, HeadPose, PoseFilter, fit_pose
from mytalk.face.landmarks import LOWER_FACE, LOWER_MIRROR, TEMPLATE, aperture


def moved(angle: tuple[float, float, float], scale: float = 80.0) -> tuple[Face, HeadPose]:
    rotation, _ = cv2.Rodrigues(np.array(angle, np.float64))
    pose = HeadPose(scale, rotation.astype(np.float32), np.array([300, 200, 5], np.float32))
    return Face(pose.to_frame(TEMPLATE)), pose


@pytest.mark.parametrize("angle", [(0, 0, 0), (0.2, 0.5, -0.3), (-0.3, -0.6, 0.8)])
def test_pose_is_found_and_undone(angle: tuple[float, float, float]) -> None:
    face, pose = moved(angle)
    found = fit_pose(face)
    np.testing.assert_allclose(found.rotation, pose.rotation, atol=1e-4)
    np.testing.assert_allclose(found.to_canonical(face.points), TEMPLATE, atol=1e-4)
    np.testing.assert_allclose(found.to_frame(found.to_canonical(face.points)), face.points, atol=1e-2)


def test_the_mouth_lies_in_the_middle_of_its_crop() -> None:
    face, pose = moved((0.1, 0.3, 0.2))
    matrix = pose.crop_matrix(128)
    lips = face.points[list(LOWER_FACE[:40]), :2] @ matrix[:, :2].T + matrix[:, 2]
    assert np.all(lips > 20)
    assert np.all(lips < 108)


def test_a_resting_head_is_smoothed_and_a_moving_one_is_followed() -> None:
    rng, filtered = np.random.default_rng(0), PoseFilter()
    still = [
        filtered(fit_pose(Face(moved((0, 0, 0))[0].points + rng.normal(0, 0.5, (478, 3)).astype(np.float32))), n * 640)
        for n in range(50)
    ]
    raw = [
        fit_pose(Face(moved((0, 0, 0))[0].points + rng.normal(0, 0.5, (478, 3)).astype(np.float32))) for _ in range(50)
    ]
    assert np.std([p.translation[0] for p in still[10:]]) < np.std([p.translation[0] for p in raw[10:]])
    for n in range(50, 80):
        walking = moved((0, 0, 0))[0].points + np.array([8.0 * (n - 49), 0, 0], np.float32)
        last = filtered(fit_pose(Face(walking)), n * 640)
    assert abs(last.translation[0] - (300 + 8.0 * 30)) < 8.0


def test_a_long_gap_starts_afresh() -> None:
    filtered = PoseFilter()
    filtered(moved((0, 0, 0))[1], 0)
    there = HeadPose(80.0, np.eye(3, dtype=np.float32), np.array([900, 100, 0], np.float32))
    assert filtered(there, 16_000).translation[0] == pytest.approx(900)


def test_the_mirror_of_the_template_is_itself() -> None:
    lower = TEMPLATE[list(LOWER_FACE)]
    np.testing.assert_allclose(lower[list(LOWER_MIRROR)] * [-1, 1, 1], lower, atol=1e-5)
    assert aperture(lower) > 0
