"""Cards become ChatKit items and CommonMark that say all they do, and that the SDK's own types accept."""

from __future__ import annotations

from typing import Any

from chatkit.types import ThreadItem, Workflow
from chatkit.widgets import StrictWidgetRoot
from hypothesis import example, given
from pydantic import TypeAdapter

from tests.markup_kit import MARKDOWN, cards, squeezed
from vtoc_bots import Button, Buttons, Card, Image, Plan, PlanStep, Progress, Severity, markup
from vtoc_bots.plugins.chatkit.markdown import COMMONMARK, markdown_of_card
from vtoc_bots.plugins.chatkit.widgets import (
    choices_of_card,
    copy_text_of_card,
    is_finished,
    item_of,
    question_of_card,
    widget_of_card,
    workflow_of_card,
)

WIDGET: TypeAdapter[Any] = TypeAdapter(StrictWidgetRoot)
ITEM: TypeAdapter[Any] = TypeAdapter(ThreadItem)
AT = "2026-01-02T03:04:05+00:00"


def read(nodes: Any) -> str:
    return squeezed(markup.render(list(nodes), markup.PLAIN))


@given(source=MARKDOWN)
@example(source=">\x85")
def test_what_is_written_as_commonmark_reads_the_same(source: str) -> None:
    """But for stars that CommonMark shows where emphasis meets punctuation."""
    nodes = markup.parse(source)
    written = markup.render(list(nodes), COMMONMARK)
    assert read(markup.parse(written)).replace("*", "") == read(nodes).replace("*", "")


def test_words_with_underscores_stay_as_they_are_typed() -> None:
    assert "op_airtrack_merge" in markdown_of_card(Card.of("Plan", "run op_airtrack_merge now"))


@given(card=cards())
def test_every_card_is_items_that_the_sdk_accepts(card: Card) -> None:
    widget = widget_of_card(card)
    WIDGET.validate_python(widget)
    content = {"widget": widget, "copy_text": copy_text_of_card(card)}
    ITEM.validate_python(item_of("widget", "msg_1", "thr_1", AT, content))
    Workflow.model_validate(workflow_of_card(card))
    ITEM.validate_python(item_of("workflow", "wf_1", "thr_1", AT, {"workflow": workflow_of_card(card)}))
    question = {"status": "pending", "inputs": [question_of_card(card)]}
    ITEM.validate_python(item_of("structured_input", "si_1", "thr_1", AT, question))


def test_a_button_is_an_action_with_its_token_and_nothing_else() -> None:
    row = Buttons(buttons=(Button(label="Approve", token="t" * 21, style="good"), Button(label="Deny", token="u" * 21)))
    widget = widget_of_card(Card.of("Sure?", row))
    buttons = widget["children"][-1]["children"]
    assert [each["onClickAction"] for each in buttons] == [
        {"type": "vtoc.press", "payload": {"token": "t" * 21}},
        {"type": "vtoc.press", "payload": {"token": "u" * 21}},
    ]
    bare = widget_of_card(Card.of("Sure?", row), buttons=False)
    assert "Row" not in [each["type"] for each in bare["children"]]


def test_choices_of_the_same_label_are_told_apart() -> None:
    row = Buttons(buttons=(Button(label="Yes", token="a"), Button(label="Yes", token="b")))
    assert choices_of_card(Card.of("?", row)) == {"Yes": "a", "Yes (2)": "b"}


def test_a_picture_that_can_not_be_had_is_told_in_words() -> None:
    image = Image(blob="a" * 64, alt="three aircraft")
    assert "three aircraft" in str(widget_of_card(Card.of("Map", image)))
    shown = widget_of_card(Card.of("Map", image), {image: "data:image/png;base64,AA=="})
    assert [child["type"] for child in shown["children"]].count("Image") == 1


def test_progress_is_finished_once_its_run_counts_no_more() -> None:
    done = Plan(steps=(PlanStep(title="One", state="done"), PlanStep(title="Two", state="skipped")))
    assert is_finished(Card.of("Run", done))
    assert not is_finished(Card.of("Run", done, Progress(text="Run", done=2, total=2)))
    assert not is_finished(Card.of("Run", Plan(steps=(PlanStep(title="One", state="running"),))))
    assert not is_finished(Card.of("Run", severity=Severity.GOOD))
