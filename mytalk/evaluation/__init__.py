"""Measures how well a generated film speaks, and writes the report of ``mytalk evaluate``.

    from mytalk.evaluation.jobs import jobs_of_clips
    from mytalk.evaluation.clip import Judges
    from mytalk.evaluation.run import evaluate
    report = evaluate(jobs_of_clips(paths, unpaired=False), Judges(), pipeline=mytalk.load("edge"))

Here stand the measures of curves alone; those of pictures and films import OpenCV and torch.
"""

from mytalk.evaluation.seams import SeamScore, seam_score
from mytalk.evaluation.sync import SyncScore, best_lag, sync_score

__all__ = ["SeamScore", "SyncScore", "best_lag", "seam_score", "sync_score"]
