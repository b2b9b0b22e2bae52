"""Generates lower-face landmarks from speech, identity and the upper face: stage 1."""
