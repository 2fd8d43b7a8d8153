"""What a message asks for, and what it lacks: read from text, native commands, buttons, forms and dialogs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from vtoc_bots.core.access import Station
from vtoc_bots.core.commands import (
    Call,
    CommandSpec,
    InvalidValues,
    MissingArguments,
    bind_values,
    choices,
    quote,
)
from vtoc_bots.core.desk import Desk
from vtoc_bots.core.errors import UsageError, VtocError
from vtoc_bots.core.forms import Form, FormField
from vtoc_bots.core.messages import ConversationId, Message, MessageKind, message_from_json
from vtoc_bots.core.people import People
from vtoc_bots.core.store.buttons import ButtonRows
from vtoc_bots.core.store.originals import Dialog, OriginalRows
from vtoc_bots.core.transports import Choices, Invalid

MOST_FIELDS: Final = 5
"""What every platform's forms hold."""
LONGEST_TEXT: Final = 16_000
_STALE_FORM: Final = "This form is too old; give the command again"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a message asks for.

    `text` is the command as text where there is one; `replaces` the key of the card that the answer replaces, which the
    sender alone sees where it is `alone`; `once` the token of a button that does its work one time.
    """

    call: Call | MissingArguments
    text: str = ""
    replaces: str | None = None
    alone: bool = False
    once: str | None = None


class Misread(UsageError):
    """Words of a command that are wrong, with the text they stand in."""

    def __init__(self, text: str, error: UsageError) -> None:
        super().__init__(str(error))
        self.text, self.error = text, error


class Asking:
    """Reads messages of any kind."""

    def __init__(self, people: People, desk: Desk, buttons: ButtonRows, originals: OriginalRows) -> None:
        self._people, self._desk, self._buttons, self._originals = people, desk, buttons, originals

    async def knows(self, message: Message) -> bool:
        """Whether a message's sender is an operator."""
        return await self._people.sender(message) is not None

    async def read(self, message: Message) -> Asked | None:
        """The command of a message with its values or what it lacks; None for what is no command.

        Raises Misread, and UsageError for a button or form that is too old.
        """
        if message.kind is MessageKind.FORM:
            return await self._of_form(message)
        if message.kind is MessageKind.BUTTON:
            value = await self._buttons.value(message.token or "")
            if value is None or "command" not in value:
                raise UsageError("This button is too old; give the command again")
            once = message.token if value.get("once") else None
            await self._check_unused(once)
            asked = await self._of_text(message, value["command"])
            alone = value.get("private_to") == message.sender.user_id
            return replace(asked, replaces=value.get("replaces"), alone=alone, once=once)
        if message.kind is MessageKind.COMMAND and message.command and message.arguments:
            spec, text = self._desk.commands.get(message.command), f"/{message.command}"
            if spec is None:
                raise Misread(text, self._desk.commands.unknown(text))
            try:
                bound = bind_values(spec, message.arguments)
            except InvalidValues as error:
                raise Misread(text, error) from error
            call = await self._whole(bound, message)
            return Asked(call, text_of_missing(call) if isinstance(call, MissingArguments) else "")
        text = message.text.strip()
        if len(text) > LONGEST_TEXT:
            raise UsageError(f"that is {len(text):,} characters; a command has {LONGEST_TEXT:,} at most")
        if message.kind is MessageKind.COMMAND and message.command:
            return await self._of_text(message, f"/{message.command} {text}")
        return await self._of_text(message, text) if message.mentions_us or has_slash(message) else None

    async def dialog(self, message: Message) -> Dialog | None:
        """What the sender is being asked in this conversation."""
        return await self._originals.dialog(str(message.conversation), message.sender.user_id)

    async def answer(self, message: Message, dialog: Dialog) -> str | None:
        """The answer that a button of a dialog stands for; None for any other message.

        Raises UsageError for a button of an earlier question, or of somebody else's.
        """
        if message.kind is not MessageKind.BUTTON:
            return None
        value = await self._buttons.value(message.token or "")
        if value is None or "answer" not in value:
            return None
        if value.get("dialog") != str(dialog.id):
            raise UsageError("This button belongs to another question; yours is the newest one here")
        answer: str = value["answer"]
        return answer

    async def of_dialog(self, message: Message, dialog: Dialog, answer: str) -> Asked:
        """The command of a dialog with this answer too.

        Raises InvalidValues where it is none to what is asked, UsageError where the command is gone or was given.
        """
        await self._check_unused(dialog.once)
        given = {**dialog.given, dialog.asked: answer.strip()}
        return Asked(await self.completed(dialog.command, given, message), once=dialog.once)

    async def _check_unused(self, once: str | None) -> None:
        if once is not None and await self._buttons.was_used(once):
            raise UsageError("That was confirmed already; /runs shows what became of it")

    def spec(self, command: str) -> CommandSpec:
        """The command of a name. Raises UsageError where it is gone."""
        spec = self._desk.commands.get(command)
        if spec is None:
            raise UsageError(f"there is no command /{command} any more")
        return spec

    async def completed(self, command: str, given: Mapping[str, Any], message: Message) -> Call | MissingArguments:
        """A command with these values. Raises InvalidValues by parameter, UsageError where the command is gone."""
        call = await self._whole(bind_values(self.spec(command), given), message)
        if isinstance(call, Call):
            errors = await self._desk.input_errors(call, await self._station_of(message))
            if errors:
                raise InvalidValues("; ".join(f"{name}: {text}" for name, text in errors.items()), errors)
        return call

    async def offer(self, message: Message) -> Choices:
        """Completions for what is typed so far: only what the sender may use."""
        operator = await self._people.sender(message)
        station = await self._people.station_of(message, operator)
        if operator is None:
            return Choices(())
        if message.focused is None:
            return Choices(await self._desk.complete(message.text, operator, station))
        spec = self._desk.commands.get(message.command or "")
        if spec is None or not self._desk.may(operator, station, spec):
            return Choices(())
        typed = str(message.arguments.get(message.focused) or "")
        return Choices(await choices(spec, message.focused, typed, self._desk.names(station)))

    async def form(self, message: Message) -> Form | None:
        """The form for what this command lacks, without its token; None where it lacks nothing or may not be given."""
        try:
            asked = await self.read(message)
        except VtocError:
            return None  # the answer says what is wrong
        if asked is None or isinstance(asked.call, Call):
            return None
        missing = asked.call
        operator = await self._people.sender(message)
        station = await self._people.station_of(message, operator)
        if operator is None or not self._desk.may(operator, station, missing.spec):
            return None
        fields = [await self._with_choices(field, missing.spec, station) for field in form_fields(missing)]
        return Form("", f"/{missing.spec.name}", tuple(fields))

    async def manner(self, message: Message) -> tuple[bool, bool]:
        """Whether the answer is for the sender alone, and whether it replaces a card, as far as can be told now.

        What is wrong with a message concerns nobody but its sender; a run's answers are as private as its playbook.
        """
        try:
            asked = await self.read(message)
        except VtocError:
            return True, False
        if asked is None:
            return False, False
        spec = asked.call.spec
        operator = await self._people.sender(message)
        station = await self._people.station_of(message, operator)
        if operator is None or not self._desk.may(operator, station, spec):
            return True, False
        call = asked.call
        playbook = self._desk.playbook_of(call) if isinstance(call, Call) and not call.values.get("dry_run") else None
        private = spec.private if playbook is None else playbook.private
        return private, asked.replaces is not None and (asked.alone or not private)

    async def check(self, message: Message) -> Invalid | None:
        """What is wrong with a form's values; None where nothing is, or where only the answer can say it."""
        try:
            await self._of_form(message)
        except InvalidValues as error:
            return Invalid(error.errors)
        except UsageError:
            return None
        return None

    async def _with_choices(self, field: FormField, spec: CommandSpec, station: Any) -> FormField:
        if field.choices:
            return field
        offered = await choices(spec, field.name, "", self._desk.names(station))
        return replace(field, choices=offered) if 0 < len(offered) < 25 else field

    async def _of_text(self, message: Message, text: str) -> Asked:
        operator = await self._people.sender(message)
        station = await self._people.station_of(message, operator)
        try:
            call = self._desk.commands.parse(text, may=lambda spec: self._desk.may(operator, station, spec))
        except UsageError as error:
            question = self._desk.commands.question(text)
            if question is None:
                raise Misread(text, error) from error
            return Asked(question, text)
        if isinstance(call, Call) and text.lstrip()[:1] == "@" and self._desk.playbook_of(call) is None:
            call = self._desk.commands.question(text) or call  # ``@agent`` with something else than a playbook
        return Asked(await self._whole(call, message), text)

    async def _of_form(self, message: Message) -> Asked:
        original = await self._original(message)
        asked = await self.read(original)
        if asked is None or isinstance(asked.call, Call):
            raise UsageError(_STALE_FORM)
        given = {name: value for name, value in message.arguments.items() if value not in (None, "")}
        try:
            call = await self.completed(asked.call.spec.name, {**asked.call.given, **given}, message)
            return Asked(call, asked.text, once=asked.once)
        except InvalidValues as error:
            raise InvalidForm(asked.text, error) from error

    async def _original(self, message: Message) -> Message:
        """The message that a form completes. Raises UsageError where it is too old or somebody else's."""
        try:
            message_id = UUID(hex=message.token or "")
        except ValueError:
            raise UsageError(_STALE_FORM) from None
        stored = await self._originals.message(message_id)
        if stored is None:
            raise UsageError(_STALE_FORM)
        original = message_from_json(stored.body, ConversationId.parse(stored.conversation), stored.trace)
        if (original.transport, original.sender.user_id) != (message.transport, message.sender.user_id):
            raise UsageError(_STALE_FORM)
        return original

    async def _station_of(self, message: Message) -> Station:
        return await self._people.station_of(message, await self._people.sender(message))

    async def _whole(self, call: Call | MissingArguments, message: Message) -> Call | MissingArguments:
        """A playbook lacks what its own inputs lack, and an answer what the question asks for."""
        if isinstance(call, MissingArguments) or not call.spec.inputs:
            return call
        fields = await self._desk.missing_inputs(call, await self._station_of(message))
        if not fields:
            return call
        given = {name: value for name, value in call.arguments().items() if value is not None}
        return MissingArguments(call.spec, given, fields)


class InvalidForm(InvalidValues):
    """A form's values are wrong. `text` is the command that it completes, empty for a native one."""

    def __init__(self, text: str, error: InvalidValues) -> None:
        super().__init__(str(error), error.errors)
        self.text = text


def has_slash(message: Message) -> bool:
    """Whether a text is written as a command."""
    return message.text.lstrip().startswith(("/", "@agent"))


def text_of_missing(missing: MissingArguments) -> str:
    """A native command that lacks values, as text with those it was given, so that a button can ask again."""
    types = {param.name: param.type for param in missing.spec.params}
    pairs = []
    for name, value in missing.given.items():
        kind = types.get(name)
        pairs.append(f"{name}={quote(str(value) if kind is None else kind.show(kind.read(value)))}")
    return " ".join([f"/{missing.spec.name}", *pairs])


def form_fields(missing: MissingArguments) -> tuple[FormField, ...]:
    """What a form asks: what is missing, then what else may be given, as far as a form has room."""
    asked = {field.name for field in missing.fields}
    more = [
        param.form_field()
        for param in missing.spec.params
        if not param.required and not param.is_switch and param.name not in asked | missing.given.keys()
    ]
    return (*missing.fields, *more)[:MOST_FIELDS]
