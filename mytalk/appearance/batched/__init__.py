"""Renders the mouths of several sessions at once, by torch: what a GPU runs in place of `mytalk.appearance.kernel`."""
