"""Prepares data and trains models. Nothing here is needed to run the engine."""
