"""Renders landmarks as pixels: mouths seen before, warped to where the lips should be, and refined."""
