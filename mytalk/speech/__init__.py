"""Turns speech into features, one a motion frame; streamed equals offline."""
