"""Turns videos into aligned clips, and clips into examples."""
