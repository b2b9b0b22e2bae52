"""Stage 1: speech, identity and the upper face in, lower-face landmarks out."""

from mytalk.motion.model import MotionModel
from mytalk.motion.stream import MotionStream
from mytalk.motion.windows import Window, WindowPlanner

__all__ = ["MotionModel", "MotionStream", "Window", "WindowPlanner"]
