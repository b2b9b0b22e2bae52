"""Talks to a MyTalk streamer: speech in, a talking face out. ``connect`` for asyncio, ``connect_sync`` for scripts."""

from mytalk_client.errors import ClientError, DeviceError, EndedError, FormatError, LostError, RefusedError
from mytalk_client.formats import SpeechFormat
from mytalk_client.http import SessionInfo, create_session, end_session, session_state
from mytalk_client.messages import (
    Audio,
    CameraBack,
    CameraLeft,
    Error,
    Event,
    FaceFound,
    FaceLost,
    OutputDropped,
    PlaybackFinished,
    PlaybackStarted,
    SessionEnded,
    SessionResumed,
    SessionUpdated,
    SpeechCommitted,
    SpeechDropped,
    SpeechLate,
    Video,
)
from mytalk_client.session import Session, connect
from mytalk_client.sync import SyncSession, connect_sync

__all__ = [
    "Audio",
    "CameraBack",
    "CameraLeft",
    "ClientError",
    "DeviceError",
    "EndedError",
    "Error",
    "Event",
    "FaceFound",
    "FaceLost",
    "FormatError",
    "LostError",
    "OutputDropped",
    "PlaybackFinished",
    "PlaybackStarted",
    "RefusedError",
    "Session",
    "SessionEnded",
    "SessionInfo",
    "SessionResumed",
    "SessionUpdated",
    "SpeechCommitted",
    "SpeechDropped",
    "SpeechFormat",
    "SpeechLate",
    "SyncSession",
    "Video",
    "connect",
    "connect_sync",
    "create_session",
    "end_session",
    "session_state",
]
