"""All commands of a runtime: found by one dictionary probe however many there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from vtoc_bots.core.commands.binding import bind_text, bind_values
from vtoc_bots.core.commands.spec import Call, CommandSpec, MissingArguments, UnknownCommand
from vtoc_bots.core.commands.suggest import nearest_names
from vtoc_bots.core.errors import PluginError

May: TypeAlias = Callable[[CommandSpec], bool]
"""Whether the caller may use a command."""

AGENT: Final = "@agent"
AGENT_COMMAND: Final = "playbook"
"""What ``@agent op_x area=40nm`` stands for."""
QUESTION_COMMAND: Final = "ask"
"""What a text that is no command stands for, where there is such a command."""
MOST_LISTED: Final = 8

_HEAD = re.compile(r"\s*/?([^\s@/]+)(?:@(\S+))?(?=\s|\Z)")
_NEXT = re.compile(r"\s+(\S+)")
_MENTION = re.compile(rf"\s*{AGENT}(?=\s|\Z)\s*", re.IGNORECASE)


class Found(NamedTuple):
    """A command named in a text; its arguments begin at character `start`."""

    spec: CommandSpec
    start: int


class _Node:
    """What may follow the words up to here."""

    __slots__ = ("children", "spec")

    def __init__(self) -> None:
        self.spec: CommandSpec | None = None
        self.children: dict[str, _Node] = {}


def everyone(spec: CommandSpec) -> bool:
    """The `May` that hides nothing."""
    return True


class Commands:
    """Commands by name and alias; ``track_watch`` and ``track-watch`` name ``track watch`` too."""

    def __init__(self, specs: Iterable[CommandSpec]) -> None:
        """Raises PluginError naming both functions where two commands have one name."""
        self._specs: dict[str, CommandSpec] = {}
        self._by_name: dict[str, CommandSpec] = {}
        self._first = _Node()
        self._events: dict[str, CommandSpec] = {}
        for spec in specs:
            if spec.event:
                other = self._events.setdefault(spec.name, spec)
                if other is not spec:
                    raise self._twice(spec.name, other, spec)
                continue
            for name in spec.names:
                self._claim(name, spec)
            self._specs[spec.name] = spec
        self._names = sorted(self._by_name)
        for name, spec in list(self._by_name.items()):
            for variant in one_word_names(name):
                if self._by_name.setdefault(variant, spec) is spec:
                    self._add(variant, spec)

    def __iter__(self) -> Iterator[CommandSpec]:
        """The commands by name."""
        return iter(sorted(self._specs.values(), key=lambda spec: spec.name))

    def __len__(self) -> int:
        return len(self._specs)

    @property
    def names(self) -> Sequence[str]:
        """All names and aliases, sorted."""
        return self._names

    def get(self, name: str) -> CommandSpec | None:
        """The command of a name as people or platforms write it: with or without a slash, in one word or several."""
        words = " ".join(name.removeprefix("/").casefold().split())
        return self._by_name.get(words)

    def event(self, name: str) -> CommandSpec | None:
        """The command for what a transport reports under this name."""
        return self._events.get(name)

    def find(self, text: str, me: Collection[str] = (), start: int = 0) -> Found | None:
        """The command that a text names from character `start` on, the longest name that fits; None for none.

        ``/name@bot`` is only found where `me` is empty or holds that bot's name in lower case.
        """
        head = _HEAD.match(text, start)
        if head is None:
            return self._mentioned(text, me, start)
        addressee = head[2]
        if addressee is not None and me and addressee.casefold() not in me:
            return None
        children = self._first.children
        node = children.get(head[1]) or children.get(head[1].casefold())
        if node is None:
            return None
        end = head.end()
        best = None if node.spec is None else Found(node.spec, end)
        while node.children:
            following = _NEXT.match(text, end)
            node = None if following is None else node.children.get(following[1].casefold())
            if node is None or following is None:
                break
            end = following.end()
            if node.spec is not None:
                best = Found(node.spec, end)
        return best

    def parse(self, text: str, me: Collection[str] = (), may: May = everyone) -> Call | MissingArguments:
        """The command of a text with its values.

        Raises UnknownCommand with suggestions out of those that `may` allows, or UsageError naming the wrong word.
        """
        found = self.find(text, me)
        if found is None:
            raise self.unknown(text, may)
        return bind_text(found.spec, text, found.start)

    def question(self, text: str) -> Call | None:
        """The question that a text without a slash is, where some command answers questions."""
        mention = _MENTION.match(text)
        asked = text[mention.end() if mention else 0 :].strip()
        spec = self._by_name.get(QUESTION_COMMAND)
        if spec is None or not asked or asked.startswith("/"):
            return None
        call = bind_values(spec, {"question": asked})
        return call if isinstance(call, Call) else None

    def unknown(self, text: str, may: May = everyone) -> UnknownCommand:
        """What to say of a text that names no command."""
        head = _HEAD.match(text)
        if head is None:
            return UnknownCommand("A command begins with a slash and its name; /help lists what you may use")
        word, begin, end = head[1], head.start(1), head.end(1)
        node = self._first.children.get(word.casefold())
        if node is not None and node.spec is None:
            return self._unfinished(text, node, head, may)
        near = nearest_names(text[begin:], self._names, lambda name: may(self._by_name[name]))
        if not near:
            return UnknownCommand(
                f"There is no command /{word}; /help lists what you may use", word=word, start=begin, end=end
            )
        end = begin + near[0].width
        shown = " or ".join(f"/{each.name}" for each in near)
        error = UnknownCommand(
            f"There is no command /{text[begin:end]}; did you mean {shown}?",
            word=text[begin:end],
            start=begin,
            end=end,
            corrected=f"/{near[0].name}{text[end:]}".rstrip(),
        )
        error.suggestions = tuple(each.name for each in near)
        return error

    def _unfinished(self, text: str, node: _Node, head: re.Match[str], may: May) -> UnknownCommand:
        """The first word is right and what follows is not."""
        name, following = head[1].casefold(), _NEXT.match(text, head.end())
        known = [word for word, child in node.children.items() if any(may(spec) for spec in _all(child))]
        if not known:
            return UnknownCommand(f"There is no command /{name}; /help lists what you may use")
        shown = [*known[:MOST_LISTED], "…"] if known[MOST_LISTED:] else known
        listed = ", ".join(shown[:-1]) + (" or " if shown[1:] else "") + shown[-1]
        near = nearest_names(following[1], known, lambda word: True) if following else []
        best = near[0].name if near else known[0]
        start, end = (following.start(1), following.end(1)) if following else (head.end(1), head.end(1))
        error = UnknownCommand(
            f"/{name} is followed by {listed}",
            word=following[1] if following else head[1],
            start=start if following else head.start(1),
            end=end,
            corrected=f"{text[:start]}{'' if following else ' '}{best}{text[end:]}".strip(),
        )
        error.suggestions = tuple(f"{name} {word}" for word in known[:MOST_LISTED])
        return error

    def _mentioned(self, text: str, me: Collection[str], start: int) -> Found | None:
        mention = _MENTION.match(text, start)
        if mention is None:
            return None
        if text.startswith("/", mention.end()):
            return self.find(text, me, mention.end())
        spec = self._by_name.get(AGENT_COMMAND)
        return None if spec is None else Found(spec, mention.end())

    def _claim(self, name: str, spec: CommandSpec) -> None:
        other = self._by_name.setdefault(name, spec)
        if other is not spec:
            raise self._twice(name, other, spec)
        self._add(name, spec)

    def _twice(self, name: str, *specs: CommandSpec) -> PluginError:
        both = " and by ".join(f"{each.call.__module__}.{each.call.__qualname__}" for each in specs)
        return PluginError(f"command /{name} is registered twice: by {both}; rename one")

    def _add(self, name: str, spec: CommandSpec) -> None:
        node = self._first
        for word in name.split():
            node = node.children.setdefault(word, _Node())
        node.spec = spec


def one_word_names(name: str) -> tuple[str, ...]:
    """How platforms without spaces or hyphens in command names write it."""
    return name.replace(" ", "_").replace("-", "_"), name.replace(" ", "-")


def _all(node: _Node) -> Iterator[CommandSpec]:
    if node.spec is not None:
        yield node.spec
    for child in node.children.values():
        yield from _all(child)
