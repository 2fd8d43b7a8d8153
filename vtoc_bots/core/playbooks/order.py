"""The order of steps: each needs only steps above it, so that nothing can wait for itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def order_problem(step: str, need: str, order: Mapping[str, int], edges: Mapping[str, Iterable[str]]) -> str | None:
    """What is wrong with `step` needing `need`, None where nothing is.

    `order` has each step's place in the file, `edges` what each needs.
    """
    if need == step:
        return f"step {step} needs itself; remove that"
    if order[need] < order[step]:
        return None
    path = _path(need, step, edges)
    if path:
        return f"steps wait for each other: {' → '.join([step, *path])}; remove one of these needs"
    return f"step {need} comes later in the file; move it above {step}"


def _path(start: str, goal: str, edges: Mapping[str, Iterable[str]]) -> list[str]:
    """A way from `start` to `goal` along the needs, empty where there is none."""
    came_from = {start: ""}
    pending = [start]
    while pending:
        here = pending.pop(0)
        if here == goal:
            way = [goal]
            while came_from[way[0]]:
                way.insert(0, came_from[way[0]])
            return way
        for following in edges.get(here, ()):
            if following not in came_from:
                came_from[following] = here
                pending.append(following)
    return []
