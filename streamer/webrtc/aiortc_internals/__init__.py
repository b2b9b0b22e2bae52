"""Holds every use of a private name of aiortc 1.16.0 or aioice; nothing else in the project has one.

Whatever is replaced is replaced on one connection's own objects, when it is made: importing this changes nothing.
``tests/streamer/webrtc/aiortc_internals/test_private_names.py`` fails on a private name elsewhere, and the tests beside
it when another aiortc moves what is used here.
"""
