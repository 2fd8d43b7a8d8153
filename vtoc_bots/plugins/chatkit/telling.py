"""The events by which a stream tells what became of a thread's items: come, changed, done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatkit.types import (
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
    WorkflowItem,
    WorkflowTaskAdded,
    WorkflowTaskUpdated,
)

from vtoc_bots.plugins.chatkit.server_store import ITEM
from vtoc_bots.plugins.chatkit.speaking import Request


class Teller:
    """Tells one stream of items; `since` is the count of changes up to which its client has seen everything."""

    def __init__(self, since: int, request: Request) -> None:
        self._since, self._request = since, request
        self._told: set[str] = set()
        self._open: dict[str, WorkflowItem] = {}

    def events(self, row: Mapping[str, Any]) -> Iterator[ThreadStreamEvent]:
        """What there is to tell of an item that came or changed; nothing of one that others alone may see."""
        if row["only_for"] not in (None, self._request.viewer.name):
            return
        item = ITEM.validate_json(row["body"])
        self._request.known.add(item.id)
        is_new = row["place"] > self._since and item.id not in self._told
        self._told.add(item.id)
        if isinstance(item, WorkflowItem):
            yield from self._workflow(item, is_finished=bool(row["behind"].get("finished")), is_new=is_new)
        elif is_new:
            yield ThreadItemDoneEvent(item=item)
        else:
            yield ThreadItemReplacedEvent(item=item)

    def last_events(self) -> Iterator[ThreadStreamEvent]:
        """What is still open when the stream ends is done as far as it goes."""
        for item in self._open.values():
            yield ThreadItemDoneEvent(item=item)
        self._open.clear()

    def _workflow(self, item: WorkflowItem, *, is_finished: bool, is_new: bool) -> Iterator[ThreadStreamEvent]:
        before = self._open.get(item.id)
        if before is None and not is_new and is_finished:
            yield ThreadItemReplacedEvent(item=item)
            return
        if before is None and not is_finished:
            yield ThreadItemAddedEvent(item=item) if is_new else ThreadItemReplacedEvent(item=item)
        elif before is not None:
            yield from _task_events(before, item)
        self._open[item.id] = item
        if is_finished:
            yield ThreadItemDoneEvent(item=self._open.pop(item.id))


def _task_events(before: WorkflowItem, after: WorkflowItem) -> Iterator[ThreadStreamEvent]:
    for index, task in enumerate(after.workflow.tasks):
        if index >= len(before.workflow.tasks):
            yield ThreadItemUpdatedEvent(item_id=after.id, update=WorkflowTaskAdded(task_index=index, task=task))
        elif task != before.workflow.tasks[index]:
            yield ThreadItemUpdatedEvent(item_id=after.id, update=WorkflowTaskUpdated(task_index=index, task=task))
