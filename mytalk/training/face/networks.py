"""Makes the networks that find faces and cut out people from those in the ``mediapipe`` 0.10.21 package.

python -m mytalk.training.face.networks -o mytalk/weights/face
python -m mytalk.training.face.networks --wheel mediapipe-0.10.21-...-x86_64.whl -o mytalk/weights/face

MediaPipe itself is not run; its wheel can be fetched with ``pip download --no-deps mediapipe==0.10.21``.
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from mytalk.appearance.matte import PERSON_FILE, PERSON_SIDE
from mytalk.errors import DataError
from mytalk.face.networks import DETECTOR_FILE, DETECTOR_SIDE, MESH_FILE, MESH_SIDE
from mytalk.training.face.onnx_writer import OnnxWriter
from mytalk.training.face.operators import Conversion
from mytalk.training.face.tflite_model import TfliteModel, read_model
from mytalk.training.face.towers import merge_towers

_MESH = "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite"
_DETECTOR = "mediapipe/modules/face_detection/face_detection_short_range.tflite"
_PERSON = "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite"
_LICENCE = "mediapipe-0.10.21.dist-info/LICENSE"
_MESH_POINTS = 468  # without the irises
_EYE_RING = 16  # first points of an eye's contour: the depth of its iris is their mean
_ANCHORS = ((8, 2), (16, 6))  # stride in pixels, and boxes at each place
_KEYPOINTS = 6


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--wheel", type=Path, help="a wheel of mediapipe 0.10.21; otherwise the installed package")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    source = package_files(arguments.wheel)
    for name, content in (
        (MESH_FILE, convert_mesh(_read(source, _MESH)).SerializeToString()),
        (DETECTOR_FILE, convert_detector(_read(source, _DETECTOR)).SerializeToString()),
        (PERSON_FILE, convert_person(_read(source, _PERSON)).SerializeToString()),
        ("LICENSE", _read(source, _LICENCE)),
    ):
        (arguments.output / name).write_bytes(content)
        print(f"{arguments.output / name}: {len(content) / 1e6:.2f} MB")


def package_files(wheel: Path | None = None) -> Path | zipfile.Path:
    """Returns the folder that holds the package: inside a wheel, or where it is installed. Raises DataError."""
    if wheel is not None:
        return zipfile.Path(wheel)
    found = find_spec("mediapipe")
    if found is None or found.origin is None:
        raise DataError("the face networks come with a package: pip install mediapipe==0.10.21, or give its --wheel")
    return Path(found.origin).parents[1]


def convert_mesh(content: bytes) -> onnx.ModelProto:
    """Converts the attention mesh.

    ``crop``: RGB ``(192, 192, 3)``. ``points``: 478 landmarks ``(478, 3)``, in sides of the crop from its upper left
    corner, depth alike. ``score``: 0..1, whether there is a face.
    """
    model, writer = merge_towers(read_model(content)), OnnxWriter()
    conversion = Conversion(model, writer, {model.inputs[0]: _picture(writer, MESH_SIDE, 1 / 255, 0.0)})
    conversion.run()
    # mesh, lips, left eye, right eye, left iris, right iris, score
    mesh, *branches, score = (conversion.values[number] for number in model.outputs)
    points = _refined(writer, model, mesh, branches)
    in_sides = writer.node("Mul", points, [1 / MESH_SIDE])
    score = writer.node("Reshape", writer.node("Sigmoid", score), np.array([1]))
    return writer.model(
        {"crop": (MESH_SIDE, MESH_SIDE, 3)},
        {"points": (in_sides, (_MESH_POINTS + 10, 3)), "score": (score, (1,))},
        _origin(_MESH, content),
    )


def convert_detector(content: bytes) -> onnx.ModelProto:
    """Converts the detector of near faces.

    ``crop``: RGB ``(128, 128, 3)``. ``boxes``: ``(896, 8, 2)``, each its centre, its width and height, and six points
    (right eye, left eye, nose, mouth, ears), in sides of the crop. ``scores``: ``(896,)``, 0..1.
    """
    model, writer = read_model(content), OnnxWriter()
    conversion = Conversion(model, writer, {model.inputs[0]: _picture(writer, DETECTOR_SIDE, 2 / 255, -1.0)})
    conversion.run()
    raw, scores = (conversion.values[number] for number in model.outputs)
    anchors = np.repeat(anchor_centres()[:, None], 2 + _KEYPOINTS, axis=1)  # (896, 8, 2)
    anchors[:, 1] = 0
    shares = writer.node("Mul", writer.node("Reshape", raw, np.array(anchors.shape)), [1 / DETECTOR_SIDE])
    boxes = writer.node("Add", shares, anchors)
    scores = writer.node("Reshape", writer.node("Sigmoid", scores), np.array([len(anchors)]))
    return writer.model(
        {"crop": (DETECTOR_SIDE, DETECTOR_SIDE, 3)},
        {"boxes": (boxes, anchors.shape), "scores": (scores, (len(anchors),))},
        _origin(_DETECTOR, content),
    )


def convert_person(content: bytes) -> onnx.ModelProto:
    """Converts the network that parts people from what is behind them.

    ``crop``: RGB ``(256, 256, 3)``. ``person``: ``(256, 256)``, 0..1 at each pixel.
    """
    model, writer = read_model(content), OnnxWriter()
    conversion = Conversion(model, writer, {model.inputs[0]: _picture(writer, PERSON_SIDE, 1 / 255, 0.0)})
    conversion.run()
    size = (PERSON_SIDE, PERSON_SIDE)
    person = writer.node("Reshape", conversion.values[model.outputs[0]], np.array(size))
    return writer.model({"crop": (*size, 3)}, {"person": (person, size)}, _origin(_PERSON, content))


def anchor_centres() -> NDArray[np.float32]:
    """Returns the places that boxes are counted from, ``(896, 2)``, in sides of the crop. MediaPipe's SSD anchors."""
    centres = []
    for stride, boxes in _ANCHORS:
        cells = DETECTOR_SIDE // stride
        y, x = np.mgrid[:cells, :cells]
        grid = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / cells
        centres.append(np.repeat(grid, boxes, axis=0))
    return np.asarray(np.concatenate(centres), np.float32)


def _picture(writer: OnnxWriter, side: int, scale: float, offset: float) -> str:
    """Adds the network's input: the picture ``crop``, scaled, channels first."""
    values = writer.node("Mul", writer.node("Cast", "crop", to=onnx.TensorProto.FLOAT), [scale])
    if offset:
        values = writer.node("Add", values, [offset])
    return writer.node("Reshape", writer.node("Transpose", values, perm=[2, 0, 1]), np.array([1, 3, side, side]))


def _refined(writer: OnnxWriter, model: TfliteModel, mesh: str, branches: list[str]) -> str:
    """Adds the ``(478, 3)`` landmarks: x and y of lips, eyes and irises by their own branches, depth by the mesh.

    ``face_landmark/tensors_to_face_landmarks_with_attention.pbtxt``. The points of a branch are those that its crop is
    laid around, in the same order.
    """
    crops = [operator for operator in model.operators if operator.name == "Landmarks2TransformMatrix"]
    lips, left_eye, right_eye = (np.ravel(operator.options["subset_idxs"]) for operator in crops)
    rows = np.arange(_MESH_POINTS + 10)
    first = _MESH_POINTS
    for refined in (lips, left_eye, right_eye, rows[_MESH_POINTS:]):
        rows[refined] = first + np.arange(len(refined))
        first += len(refined)
    whole = writer.node("Reshape", mesh, np.array([_MESH_POINTS, 3]))
    own_plane = writer.node("Slice", whole, np.array([0]), np.array([2]), np.array([1]))
    depth = writer.node("Slice", whole, np.array([2]), np.array([3]), np.array([1]))
    planes = [writer.node("Reshape", branch, np.array([-1, 2])) for branch in branches]
    plane = writer.node("Gather", writer.node("Concat", own_plane, *planes, axis=0), rows, axis=0)
    depths = [depth]
    for eye in (left_eye, right_eye):
        ring = writer.node("ReduceMean", writer.node("Gather", depth, eye[:_EYE_RING], axis=0), axes=[0])
        depths.append(writer.node("Expand", ring, np.array([5, 1])))
    return writer.node("Concat", plane, writer.node("Concat", *depths, axis=0), axis=1)


def _read(source: Path | zipfile.Path, name: str) -> bytes:
    found = source / name
    if not found.is_file():
        raise DataError(f"{found}: not in this version of mediapipe; version 0.10.21 has it")
    return found.read_bytes()


def _origin(name: str, content: bytes) -> dict[str, str]:
    return {"source": f"mediapipe 0.10.21, {name}", "sha256": hashlib.sha256(content).hexdigest()}


if __name__ == "__main__":
    main()
