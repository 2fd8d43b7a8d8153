"""The contract that every action passes: typed both ways, the same under the same key, and never in the loop's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from pydantic import TypeAdapter

from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.playbooks.actions import MAX_OUTPUT_BYTES, act, call_action, checked_inputs, output_adapter
from vtoc_bots.core.ports import ActionSpec
from vtoc_bots.testing.action_stage import ActionStage
from vtoc_bots.testing.loop_watch import package_of, unblocked

END_SECONDS: Final = 5.0
ACT_SECONDS: Final = 30.0
ANYTHING: Final = object()


@dataclass(frozen=True, slots=True)
class Example:
    """Inputs as a playbook writes them, and the result that must come of them: a value, or a function that judges."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    result: Any = ANYTHING


class ActionContract:
    """Subclass it in your tests and override `spec` and `examples`; `stage`, `wrong` and `outside` where it helps:

    class TestCount(ActionContract):
        @pytest.fixture
        def spec(self) -> ActionSpec:
            return vtoc_bots_count.count

        @pytest.fixture
        def examples(self) -> Sequence[Example]:
            return [Example({"area": "40nm"}, lambda result: result.reports == 0)]
    """

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def spec(self) -> ActionSpec:
        """The action; override it."""
        raise NotImplementedError(f"{type(self).__name__} overrides the fixture `spec`")

    @pytest.fixture
    def examples(self) -> Sequence[Example]:
        """What it is called with; override it."""
        raise NotImplementedError(f"{type(self).__name__} overrides the fixture `examples`")

    @pytest.fixture
    def wrong(self) -> Sequence[Mapping[str, Any]]:
        """Inputs that its types refuse."""
        return [{"no_such_input": 1}]

    @pytest.fixture
    def stage(self) -> ActionStage:
        """What it is given: set telemetry, blobs and services here."""
        return ActionStage()

    @pytest.fixture
    def outside(self) -> Callable[[], Any]:
        """What the action has done to the world, as a value to compare; override it where it does something."""
        return lambda: None

    @pytest_asyncio.fixture(autouse=True)
    async def lifespan(self, spec: ActionSpec, tmp_path: Path) -> AsyncIterator[None]:
        """What the action opens once in a process is open during each test."""
        async with spec.lifespan(tmp_path) if spec.lifespan is not None else nullcontext():
            yield

    async def test_it_is_described_and_its_inputs_have_types(self, spec: ActionSpec) -> None:
        """Playbooks are checked against them when they are loaded."""
        assert "." in spec.name, "an action is named area.what"
        assert spec.summary, "it has no docstring"
        schema = spec.inputs.model_json_schema()
        assert schema.get("additionalProperties") is False
        vague = [name for name, described in schema.get("properties", {}).items() if not described.keys() - {"title"}]
        assert vague == [], "these inputs may be anything"
        assert isinstance(output_adapter(spec), TypeAdapter)

    async def test_inputs_that_are_wrong_are_refused_before_it_is_called(
        self, spec: ActionSpec, wrong: Sequence[Mapping[str, Any]]
    ) -> None:
        """With a text that names what is wrong."""
        for inputs in wrong:
            with pytest.raises(UsageError, match=spec.name):
                checked_inputs(spec, inputs)

    async def test_its_results_are_what_it_promises(
        self, spec: ActionSpec, examples: Sequence[Example], stage: ActionStage
    ) -> None:
        """Of the promised type, and small enough for a step's row: what is larger is stored as a blob."""
        assert examples, "it has no example"
        for example in examples:
            result = await asyncio.wait_for(act(spec, stage, example.inputs), ACT_SECONDS)
            _judge(example, result)
            adapter = output_adapter(spec)
            encoded = adapter.dump_json(result)
            assert len(encoded) <= MAX_OUTPUT_BYTES
            assert adapter.dump_json(adapter.validate_json(encoded)) == encoded, "a later step would read another value"

    async def test_a_second_attempt_under_the_same_key_changes_nothing_more(
        self, spec: ActionSpec, examples: Sequence[Example], stage: ActionStage, outside: Callable[[], Any]
    ) -> None:
        """A worker may die after the work and before its checkpoint."""
        for number, example in enumerate(examples):
            stage.step = f"tested{number}"
            first = await call_action(spec, stage, example.inputs)
            after = outside()
            assert await call_action(spec, stage, example.inputs) == first
            assert outside() == after

    async def test_it_ends_when_its_time_is_up(
        self, spec: ActionSpec, examples: Sequence[Example], stage: ActionStage
    ) -> None:
        """It is cancelled then, wherever it is, and does not cling to life."""
        for turns in range(4):
            task = asyncio.create_task(act(spec, stage, examples[0].inputs))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=END_SECONDS)
            assert done, f"it went on for {END_SECONDS:g} s after it was cancelled"

    async def test_it_does_not_hold_up_the_loop(
        self, spec: ActionSpec, examples: Sequence[Example], stage: ActionStage
    ) -> None:
        """What computes or waits without await belongs in a thread or a process."""
        async with unblocked(package_of(spec.call.__module__)):
            for example in examples:
                await asyncio.wait_for(act(spec, stage, example.inputs), ACT_SECONDS)


def _judge(example: Example, result: Any) -> None:
    if example.result is ANYTHING:
        return
    if callable(example.result):
        assert example.result(result), f"{example.inputs} gave {result!r}"
    else:
        assert result == example.result
