"""Writes logs and counts what the server does."""
