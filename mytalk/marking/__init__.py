"""Marks pictures that were changed with an imperceptible watermark, and finds it again."""

from mytalk.marking.detector import Reading, read_watermark
from mytalk.marking.payload import Payload
from mytalk.marking.watermark import Watermark

__all__ = ["Payload", "Reading", "Watermark", "read_watermark"]
