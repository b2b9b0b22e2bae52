"""Keeps sound and pictures in order and in time: buffers, resamplers, timelines and the pacer."""
