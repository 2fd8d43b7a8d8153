"""An agent that answers free text with the asker's own rights, by any OpenAI-compatible model."""

from __future__ import annotations

from pathlib import Path

from vtoc_bots import ActionSpec, CommandSpec, PluginManifest, Settings, hookimpl
from vtoc_bots.plugins.agent.actions import agent_actions
from vtoc_bots.plugins.agent.commands import ask
from vtoc_bots.plugins.agent.model import ChatCompletions
from vtoc_bots.plugins.agent.settings import AgentSettings

manifest = PluginManifest(
    summary="Answers free text by a language model, with the asker's own rights",
    required_settings=("OPENAI_MODEL", "OPENAI_API_KEY"),
    secrets=("OPENAI_API_KEY",),
    hosts=("api.openai.com",),
)


@hookimpl
def vtoc_actions(settings: Settings) -> tuple[ActionSpec, ...]:
    """agent.answer and the card of what it found."""
    own = settings.read(AgentSettings)
    model = ChatCompletions(own)
    return agent_actions(model, own, model.open, model.probe)


@hookimpl
def vtoc_commands() -> tuple[CommandSpec, ...]:
    """/ask, which is what free text stands for."""
    return (ask,)


@hookimpl
def vtoc_playbooks() -> tuple[Path, ...]:
    """The playbook that answers."""
    return (Path(__file__).with_name("answer.yml"),)
