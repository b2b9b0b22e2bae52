"""Reads and checks the server's configuration: its dataclass, its sources, its ICE servers."""
