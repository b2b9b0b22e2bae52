"""Trains and scores variants of a preset, one row each."""
