"""The playbooks and actions that are loaded, and those that runs brought along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vtoc_bots.core.errors import ActionError, NotFound
from vtoc_bots.core.playbooks.load import parse_source
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.ports import ActionSpec


class Library:
    """What can be run here. A run keeps its own text: it goes on as it began, whatever the file says by now."""

    def __init__(self, playbooks: Mapping[str, Playbook], actions: Mapping[str, ActionSpec]) -> None:
        self.playbooks = dict(playbooks)
        self.actions = dict(actions)
        self._by_digest = {playbook.digest: playbook for playbook in playbooks.values()}

    def at(self, role: str) -> Iterable[Playbook]:
        """The playbooks of a role's stations, by id."""
        return (p for _, p in sorted(self.playbooks.items()) if p.role is None or p.role == role)

    def is_for_programs(self, playbook: Playbook) -> bool:
        """Whether it can be run for a program: no step that it always does works only for who asked in a chat."""
        always = (self.actions.get(step.uses or "") for step in playbook.every_step if step.condition is None)
        return not any(spec is not None and spec.in_chat for spec in always)

    def find(self, playbook_id: str) -> Playbook | None:
        """The playbook, None where there is none of that id."""
        return self.playbooks.get(playbook_id)

    def get(self, playbook_id: str) -> Playbook:
        """The playbook. Raises NotFound."""
        playbook = self.playbooks.get(playbook_id)
        if playbook is None:
            raise NotFound(f"there is no playbook {playbook_id}; /playbooks lists them")
        return playbook

    def of_run(self, playbook_id: str, digest: str, source: str) -> Playbook:
        """The playbook as it was when the run began.

        Raises ConfigError naming the step where an action it uses is gone or takes other inputs now.
        """
        playbook = self._by_digest.get(digest)
        if playbook is None:
            playbook = parse_source(source, self.actions, where=f"the kept text of {playbook_id}")
            if len(self._by_digest) > 1000:
                self._by_digest = {p.digest: p for p in self.playbooks.values()}
            self._by_digest[digest] = playbook
        return playbook

    def action(self, name: str) -> ActionSpec:
        """The action. Raises ActionError."""
        spec = self.actions.get(name)
        if spec is None:
            raise ActionError(f"the action {name} is not installed here; install its plugin or cancel the run")
        return spec
