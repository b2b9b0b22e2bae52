"""Runs one session from its creation to its end, and lists all of them."""
