"""An agent that repeats what it hears, with a face. Needs keys of LiveKit and of whichever STT and TTS you name.

python examples/agent.py dev
"""

from __future__ import annotations

import os
from pathlib import Path

from livekit.agents import Agent, AgentSession, JobContext, WorkerOptions, cli, inference
from livekit.plugins import mytalk

PORTRAIT = Path(os.environ["PORTRAIT"]).read_bytes() if "PORTRAIT" in os.environ else None


async def entrypoint(context: JobContext) -> None:
    """Runs one room."""
    await context.connect()
    session: AgentSession[None] = AgentSession(
        stt=inference.STT("deepgram/nova-3"),
        llm=inference.LLM("openai/gpt-4.1-mini"),
        tts=inference.TTS("cartesia/sonic-2"),
    )
    avatar = mytalk.AvatarSession(portrait=PORTRAIT)
    await avatar.start(session, context.room)
    await session.start(agent=Agent(instructions="Answer in one sentence."), room=context.room)
    await session.generate_reply(instructions=f"Say hello, and then: {avatar.disclosure}")


if __name__ == "__main__":
    cli.run_app(WorkerOptions(entrypoint_fnc=entrypoint))
