"""Translates between bytes and messages of `mytalk.v1`, without I/O."""
