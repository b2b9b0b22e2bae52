"""Teaches the motion model: identity, denoiser, few-step distillation."""
