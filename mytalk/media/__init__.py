"""Reads faces (videos, images) and speech from files, and writes the finished film."""

from mytalk.media.face_source import ClipSource, FaceSource, StillSource, open_face
from mytalk.media.speech import SpeechReader
from mytalk.media.video import Colour, VideoInfo, VideoReader
from mytalk.media.writer import FilmWriter

__all__ = [
    "ClipSource",
    "Colour",
    "FaceSource",
    "FilmWriter",
    "SpeechReader",
    "StillSource",
    "VideoInfo",
    "VideoReader",
    "open_face",
]
