"""The networks in the package are those of MediaPipe's package, converted."""

from __future__ import annotations

import hashlib
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import pytest

from mytalk.appearance.matte import PERSON_FILE
from mytalk.errors import DataError
from mytalk.face.networks import DETECTOR_FILE, MESH_FILE
from mytalk.training.face import networks
from mytalk.training.face.networks import (
    anchor_centres,
    convert_detector,
    convert_mesh,
    convert_person,
    main,
    package_files,
)

SHIPPED = Path(str(files("mytalk") / "weights" / "face"))


def test_boxes_are_counted_from_the_middles_of_cells() -> None:
    centres = anchor_centres()
    assert centres.shape == (896, 2)
    np.testing.assert_allclose(centres[[0, 1, 2, 511]] * 128, [[4, 4], [4, 4], [12, 4], [124, 124]])
    np.testing.assert_allclose(centres[[512, 517, 518, 895]] * 128, [[8, 8], [8, 8], [24, 8], [120, 120]])


def test_the_shipped_networks_are_what_mediapipe_s_become() -> None:
    pytest.importorskip("mediapipe", reason="needs the reference extra")
    source = package_files()
    for convert, name, file in (
        (convert_mesh, networks._MESH, MESH_FILE),
        (convert_detector, networks._DETECTOR, DETECTOR_FILE),
        (convert_person, networks._PERSON, PERSON_FILE),
    ):
        content = (source / name).read_bytes()
        made, shipped = convert(content), onnx.load(SHIPPED / file)
        assert made.graph == shipped.graph
        properties = {one.key: one.value for one in shipped.metadata_props}
        assert properties["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_wheel_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "mediapipe-0.9.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mediapipe/__init__.py", "")
    monkeypatch.setattr("sys.argv", ["networks", "--wheel", str(wheel), "-o", str(tmp_path / "face")])
    with pytest.raises(DataError, match=r"face_landmark_with_attention\.tflite: not in this version of mediapipe"):
        main()
