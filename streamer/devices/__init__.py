"""Joins the engine to this machine's devices: webcam and microphone in, virtual camera and loudspeaker out."""
