"""Shares the streamer of the agents' plug-ins."""

from streamer_process import server

__all__ = ["server"]
