"""Defines every error that a user can cause or meet, as one tree.

::

    MyTalkError
    ├── InputError                what was given cannot be used
    │   ├── UnreadableError       no such file, not a video, not a sound
    │   ├── NoFaceError           no usable face in the picture
    │   ├── NoSpeechError         no audio in the speech
    │   ├── DataError             training data that holds nothing usable, or is damaged
    │   └── OptionError           an option outside its range
    ├── OutputError               the result cannot be written
    │   ├── OutputExistsError     refused without --force
    │   └── OutputFullError       no space left
    ├── PresetError               unknown preset
    │   └── WeightsError          weights damaged or of another preset
    ├── TrainingError             a run cannot go on: loss not finite, out of memory, a worker killed
    ├── EngineError               the engine failed
    └── ServerError               the server cannot start

Each message is one line: what was given, what is needed, what to do. Each class says how it leaves the program:
``exit_code`` for the command line, ``http_status`` for HTTP, ``close_code`` for a WebSocket.
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "EngineError",
    "InputError",
    "MyTalkError",
    "NoFaceError",
    "NoSpeechError",
    "OptionError",
    "OutputError",
    "OutputExistsError",
    "OutputFullError",
    "PresetError",
    "ServerError",
    "TrainingError",
    "UnreadableError",
    "WeightsError",
]


class MyTalkError(Exception):
    """Holds the root of the tree: catch this to catch everything that the project raises on purpose."""

    exit_code = 1
    http_status = 500
    close_code = 1011


class InputError(MyTalkError):
    """Says that the input cannot be used."""

    exit_code = 2
    http_status = 400
    close_code = 1008


class UnreadableError(InputError):
    """Says that a file is missing, is no video or no sound, or holds nothing decodable."""


class NoFaceError(InputError):
    """Says that the picture or clip holds no usable face."""

    http_status = 422


class NoSpeechError(InputError):
    """Says that the speech holds no audio, or that its length is zero."""

    http_status = 422


class DataError(InputError):
    """Says that training data holds nothing usable, or is damaged: the message names what is wrong and where."""


class OptionError(InputError):
    """Says that an option is outside its range."""


class OutputError(MyTalkError):
    """Says that the result cannot be written."""

    exit_code = 3


class OutputExistsError(OutputError):
    """Says that the output is there already and may not be replaced."""

    http_status = 409


class OutputFullError(OutputError):
    """Says that the disk is full."""

    http_status = 507


class PresetError(MyTalkError):
    """Says that a name is neither a known preset nor a checkpoint folder."""

    exit_code = 4
    http_status = 400


class WeightsError(PresetError):
    """Says that weights are damaged, or of another preset: the message names the tensor."""

    http_status = 500


class TrainingError(MyTalkError):
    """Says that a training run cannot go on; its last good checkpoint is kept."""

    exit_code = 7


class EngineError(MyTalkError):
    """Says that the engine failed."""

    exit_code = 5
    http_status = 503
    close_code = 1011


class ServerError(MyTalkError):
    """Says that the server cannot start."""

    exit_code = 6
