"""Finds, tracks and describes faces: landmarks, tracking, and the canonical face space."""

from mytalk.face.pose import HeadPose, PoseFilter, fit_pose
from mytalk.face.speaker import Choice, SpeakerTracker
from mytalk.face.tracker import Face, FaceTracker

__all__ = ["Choice", "Face", "FaceTracker", "HeadPose", "PoseFilter", "SpeakerTracker", "fit_pose"]
