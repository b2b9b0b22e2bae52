"""Writes a session's result elsewhere: recordings, RTMP and SRT pushes, fragmented MP4."""
