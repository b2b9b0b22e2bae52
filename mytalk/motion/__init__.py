"""Generates lower-face landmarks from speech, identity and the upper face: stage 1."""

from mytalk.motion.model import MotionModel
from mytalk.motion.stream import MotionStream
from mytalk.motion.windows import Window, WindowPlanner

__all__ = ["MotionModel", "MotionStream", "Window", "WindowPlanner"]
