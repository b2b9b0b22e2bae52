"""Sets how long a test waits for what must happen."""

from __future__ import annotations

LIMIT_S = 100.0
"""Seconds after which what should have happened has not, on the slowest and busiest machine that we know."""
