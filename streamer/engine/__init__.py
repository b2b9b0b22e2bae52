"""Runs the models for all sessions: threads, batches, admission and the overload ladder."""
