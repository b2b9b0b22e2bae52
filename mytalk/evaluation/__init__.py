"""Measures of lip sync that need no trained judge."""

from mytalk.evaluation.sync import SyncScore, best_lag, sync_score

__all__ = ["SyncScore", "best_lag", "sync_score"]
