"""Makes the face tracker's networks from those of MediaPipe."""
