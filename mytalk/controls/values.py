"""Holds the values of the controls. A field here is a control everywhere: its metadata is the table."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from mytalk.controls.action_units import decode_units
from mytalk.controls.blink import Blink
from mytalk.controls.pins import FORM, KeyMotion, decode_pins, encode_pins
from mytalk.controls.table import Control, Part, choice, coded, control_of, number, numbers, whole
from mytalk.face import Choice
from mytalk.face.eyes import MAX_GAZE_PITCH, MAX_GAZE_YAW
from mytalk.face.head_turn import MAX_PITCH, MAX_ROLL, MAX_SHIFT, MAX_YAW
from mytalk.face.idle_motion import MAX_BLINK_RATE, SWAYS, PosePreset

MAX_SEED = 2**64 - 1
MAX_STEPS = 50


def decode_face(text: str) -> Choice:
    """Reads ``largest``, or a point as ``X,Y``. Raises ValueError."""
    if text == "largest":
        return "largest"
    x, y = map(float, text.split(","))
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise ValueError(text)
    return x, y


def encode_face(value: Choice) -> str:
    """Writes what `decode_face` reads."""
    return value if isinstance(value, str) else ",".join(f"{share:.16g}" for share in value)


EMOTIONS = ("neutral", "happy", "sad", "angry", "surprised", "disgusted", "afraid")


def decode_emotion(text: str) -> str:
    """Reads the label of an emotion, or strengths of action units. Raises ValueError."""
    if text not in EMOTIONS:
        decode_units(text)
    return text


@dataclass(frozen=True, slots=True)
class Controls:
    """Holds the value of every control. Raises OptionError, which names the range, for one that is out of it."""

    seed: int = whole(0, 0, MAX_SEED, "same seed and same speech, same performance; another seed, another take")
    steps: int | None = whole(None, 1, MAX_STEPS, "steps of sampling, for motion to come")
    face: Choice = coded(
        "largest",
        decode_face,
        encode_face,
        "largest, or a point as two shares of the picture's width and height from 0 to 1, as 0.3,0.4",
        "which face speaks, where there are several: the largest, or the one nearest to a point",
        fades=False,
    )
    on_silence: Literal["close", "passthrough"] = choice(
        "close", ("close", "passthrough"), "where speech pauses, the mouth rests, or the picture is shown as it came"
    )
    mouth_opening: float = number(1.0, 0, 3, "how far the lips open; 0 keeps them closed", unit="times")
    motion_scale: float = number(1.0, 0, 2, "strength of all motion: lips, face and head", unit="times")
    lip_weight: float = number(1.0, 0, 2, "strength of the lips' motion", unit="times")
    expression_weight: float = number(1.0, 0, 2, "strength of the motion of jaw, chin and cheeks", unit="times")
    pose_weight: float = number(1.0, 0, 3, "strength of the head's motion", unit="times", of="portraits")
    articulation: float = number(0.5, 0, 1, "how readable the lips are: 0 mumbles, 0.5 is as generated, 1 is clearest")
    emotion: str = coded(
        "neutral",
        decode_emotion,
        str,
        f"{', '.join(EMOTIONS)}, or strengths of action units from 0 to 1.5, as 12=0.8,15=0.2",
        "expression that is added to speech: the lower face in films, brows and lids too in portraits",
        choices=EMOTIONS,
    )
    intensity: float = number(1.0, 0, 1.5, "strength of the emotion", unit="times")
    key_motions: tuple[KeyMotion, ...] = coded(
        (), decode_pins, encode_pins, FORM, "shapes that the mouth passes through at given times"
    )
    head_pose: tuple[float, ...] = numbers(
        (
            Part("yaw", -MAX_YAW, MAX_YAW, "degrees"),
            Part("pitch", -MAX_PITCH, MAX_PITCH, "degrees"),
            Part("roll", -MAX_ROLL, MAX_ROLL, "degrees"),
            Part("across", -MAX_SHIFT, MAX_SHIFT, "face widths"),
            Part("down", -MAX_SHIFT, MAX_SHIFT, "face widths"),
        ),
        "turns the head to the picture's right, up and clockwise, and moves it right and down",
        of="portraits",
    )
    pose_preset: PosePreset = choice("calm", tuple(SWAYS), "how the head moves by itself", of="portraits")
    pose_rhythm: float = number(
        1.0, 0, 3, "how far the head dips with stressed syllables and turns with phrases", unit="times", of="portraits"
    )
    gaze: tuple[float, ...] = numbers(
        (
            Part("yaw", -MAX_GAZE_YAW, MAX_GAZE_YAW, "degrees"),
            Part("pitch", -MAX_GAZE_PITCH, MAX_GAZE_PITCH, "degrees"),
        ),
        "turns the eyes to the picture's right and up",
        of="portraits",
    )
    blink: Blink = coded(
        Blink(),
        Blink.read,
        Blink.written,
        f"0 to {MAX_BLINK_RATE:g} blinks a minute, or now",
        "how often the eyes blink; now has them blink once more",
        of="portraits",
        begun=Blink.begun,
    )
    brows: float = number(0.0, -1, 1, "raises the brows, or lowers them below 0", of="portraits")

    def __post_init__(self) -> None:
        for control in TABLE:
            control.check(getattr(self, control.name))

    def named(self) -> dict[str, Any]:
        """Returns the values by name."""
        return {control.name: getattr(self, control.name) for control in TABLE}


TABLE: tuple[Control, ...] = tuple(control for one in fields(Controls) if (control := control_of(one)) is not None)
"""All controls, in the order in which people are shown them."""

CONTROL: dict[str, Control] = {control.name: control for control in TABLE}
"""Controls by name."""
