"""Writes cards as ChatKit widgets, workflows and structured inputs: plain JSON in the protocol's own terms. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from vtoc_bots import Buttons, Card, File, Image, Plan, PlanStep, Progress, markup
from vtoc_bots.plugins.chatkit.markdown import TABLE_COLUMNS, markdown_of, markdown_of_card

PRESS: Final = "vtoc.press"
"""The action of a button; its payload has the button's token."""
CHOICE: Final = "choice"
"""The id of the one question of a structured input."""
MOST_ROWS: Final = 1000
_COLOURS: Final = MappingProxyType({"plain": "secondary", "good": "success", "bad": "danger"})
_INDICATORS: Final = MappingProxyType(
    {"planned": "none", "running": "loading", "waiting": "loading", "done": "complete", "skipped": "complete"}
)
_ENDED: Final = frozenset({"done", "skipped", "failed"})
Json = dict[str, Any]
Sources = Mapping[Image | File, str]
"""Where a picture or file can be had: an address or a data URL."""
NO_SOURCES: Final[Sources] = MappingProxyType({})


def widget_of_card(
    card: Card, sources: Sources = NO_SOURCES, *, may_be_repeat: bool = False, buttons: bool = True
) -> Json:
    """A ``Card`` widget that says all that the card does, with its buttons or without."""
    children: list[Json] = []
    nodes: list[markup.Node] = []

    def flush() -> None:
        if nodes:
            children.append({"type": "Markdown", "value": markdown_of(nodes)})
            nodes.clear()

    for part in markup.parts_of_card(
        card, columns=TABLE_COLUMNS, may_be_repeat=may_be_repeat, most_records=MOST_ROWS, most_rows=MOST_ROWS
    ):
        shown = _component(part, sources, buttons)
        if shown is None:
            nodes.extend(part.nodes)
        else:
            flush()
            children.extend(shown)
    flush()
    return {"type": "Card", "size": "lg", "children": children}


def copy_text_of_card(card: Card) -> str:
    """What copying the widget gives."""
    return markdown_of_card(card)


def workflow_of_card(card: Card) -> Json:
    """A workflow whose tasks are the card's steps, or the one thing whose progress it tells."""
    tasks = []
    for block in card.blocks:
        if isinstance(block, Plan):
            tasks += [_task(step) for step in block.steps]
        elif isinstance(block, Progress):
            ended = block.total is not None and block.done is not None and block.done >= block.total
            tasks.append(
                {
                    "type": "custom",
                    "title": markup.progress_words(block),
                    "status_indicator": "complete" if ended else "loading",
                }
            )
    if not tasks:
        tasks = [{"type": "custom", "title": markup.text_of_card(card), "status_indicator": "loading"}]
    return {"type": "custom", "tasks": tasks, "summary": {"title": markup.title_of_card(card)}, "expanded": True}


def is_finished(card: Card) -> bool:
    """Whether every step of a progress card has ended, and its run too: it counts no more."""
    if any(isinstance(block, Progress) for block in card.blocks):
        return False
    steps = [step for block in card.blocks if isinstance(block, Plan) for step in block.steps]
    return bool(steps) and all(step.state in _ENDED for step in steps)


def question_of_card(card: Card) -> Json:
    """The one question of a structured input: a choice of the card's buttons, or whatever is typed."""
    question = markup.clean_line(card.title).strip() or "Answer"
    labels = list(choices_of_card(card))
    if labels:
        options = [{"value": label} for label in labels]
        return {"type": "multiple_choice", "id": CHOICE, "question": question, "options": options, "multiple": False}
    return {"type": "freeform", "id": CHOICE, "question": question}


def choices_of_card(card: Card) -> dict[str, str]:
    """Tokens of the card's buttons, by label; labels that occur twice are told apart."""
    found: dict[str, str] = {}
    for block in card.blocks:
        for button in block.buttons if isinstance(block, Buttons) else ():
            label, number = markup.clean_line(button.label).strip() or "?", 2
            while label in found:
                label, number = f"{button.label} ({number})", number + 1
            found[label] = button.token or ""
    return found


def _component(part: markup.Part, sources: Sources, buttons: bool) -> list[Json] | None:
    """What a part is as components of its own, None where it is text like others."""
    block = part.block
    match part.kind:
        case markup.PartKind.DIVIDER:
            return [{"type": "Divider"}]
        case markup.PartKind.FOOTER:
            return [{"type": "Caption", "value": markup.render(part.nodes, markup.PLAIN)}]
        case markup.PartKind.BUTTONS if isinstance(block, Buttons):
            return [_row(block)] if buttons else []
        case markup.PartKind.IMAGE if isinstance(block, Image) and block in sources:
            caption = {"type": "Caption", "value": block.alt or block.name}
            return [{"type": "Image", "src": sources[block], "alt": block.alt or block.name}, caption]
        case markup.PartKind.FILE if isinstance(block, File) and block in sources:
            link = markup.Paragraph((markup.Link((markup.Words(f"[file] {block.name}"),), sources[block]),))
            return [{"type": "Markdown", "value": markdown_of([link])}]
    return None


def _row(block: Buttons) -> Json:
    children = [
        {
            "type": "Button",
            "label": markup.clean_line(button.label),
            "color": _COLOURS[button.style],
            "onClickAction": {"type": PRESS, "payload": {"token": button.token}},
        }
        for button in block.buttons
    ]
    return {"type": "Row", "gap": 2, "wrap": "wrap", "children": children}


def _task(step: PlanStep) -> Json:
    made = {"type": "custom", "title": markup.step_words(step), "status_indicator": _INDICATORS.get(step.state, "none")}
    return {**made, "content": step.detail} if step.detail else made


def item_of(kind: str, item_id: str, thread_id: str, created_at: str, content: Mapping[str, Any]) -> Json:
    """An item of a thread; `created_at` is ISO-8601."""
    return {"id": item_id, "thread_id": thread_id, "created_at": created_at, "type": kind, **content}


def user_message(item_id: str, thread_id: str, created_at: str, texts: Sequence[str]) -> Json:
    """What somebody said."""
    content = [{"type": "input_text", "text": text} for text in texts]
    return item_of(
        "user_message",
        item_id,
        thread_id,
        created_at,
        {"content": content, "attachments": [], "inference_options": {}},
    )
