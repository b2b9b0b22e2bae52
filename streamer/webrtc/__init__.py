"""Connects cameras and viewers by WebRTC."""
