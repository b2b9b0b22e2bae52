"""Fits the speech readouts and the recogniser's live layers."""
