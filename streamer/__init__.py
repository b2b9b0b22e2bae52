"""The engine and its servers: asyncio around :mod:`mytalk`, which is only ever called from the engine's own threads."""
