"""Marks what leaves as synthetic, proves it, and says of any video whether it is marked."""
