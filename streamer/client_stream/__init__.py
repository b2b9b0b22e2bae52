"""Serves one WebSocket client: its speech in, its sound and pictures out, and its resumption after a cut."""
