"""Runs any training task: configuration, batches, steps, checkpoints, curves."""
