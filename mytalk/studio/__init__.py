"""Dubs many films at once, and films in which several people speak."""
