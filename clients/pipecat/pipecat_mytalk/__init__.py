"""Gives a Pipecat pipeline a talking face, by a MyTalk streamer."""

from pipecat_mytalk.video import MyTalkVideoService

__all__ = ["MyTalkVideoService"]
