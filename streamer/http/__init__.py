"""Answers HTTP: routes, authorization, WHIP, WHEP, WebSocket upgrades and uploads."""
