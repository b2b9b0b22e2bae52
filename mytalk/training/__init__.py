"""Data and trainers. Nothing here is needed to run the engine."""
