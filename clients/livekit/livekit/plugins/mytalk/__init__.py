"""Gives an agent of LiveKit a face, by a MyTalk streamer.

::

    avatar = mytalk.AvatarSession(portrait=Path("me.png").read_bytes())
    await avatar.start(session, room=ctx.room)
    await session.start(agent=..., room=ctx.room)
"""

from livekit.agents import Plugin

from .avatar import AvatarSession, MyTalkError
from .generator import MyTalkVideoGenerator
from .log import logger
from .version import __version__

__all__ = ["AvatarSession", "MyTalkError", "MyTalkVideoGenerator", "__version__"]


class MyTalkPlugin(Plugin):
    """Is what the framework lists the package as."""

    def __init__(self) -> None:
        super().__init__(__name__, __version__, __package__ or __name__, logger)


Plugin.register_plugin(MyTalkPlugin())
