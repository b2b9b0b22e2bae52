"""Teaches the appearance model."""
