"""MyTalk streamer's models and pixels.

>>> import mytalk
>>> pipeline = mytalk.load("edge")                  # the weights in the package, on the GPU if there is one
>>> dubbed = pipeline.dub(frames, speech)           # doctest: +SKIP
"""

from mytalk.errors import MyTalkError
from mytalk.picture import Picture, VideoFrame
from mytalk.pipeline import Pipeline, load
from mytalk.stream import LipSyncStream, StreamOptions

__all__ = ["LipSyncStream", "MyTalkError", "Picture", "Pipeline", "StreamOptions", "VideoFrame", "load"]
