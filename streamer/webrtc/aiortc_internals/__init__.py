"""Holds every use of aiortc's private names."""
