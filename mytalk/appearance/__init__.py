"""From landmarks to pixels: mouths seen before, bent to where the lips should be, and mended."""
