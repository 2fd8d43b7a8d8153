"""Slack's own markup, mrkdwn, from CommonMark."""

from __future__ import annotations


def escaped(text: str) -> str:
    """Text in which Slack sees no entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mrkdwn_pieces(text: str, limit: int) -> list[str]:
    """Placeholder until the shared markup is merged."""
    text = escaped(text).strip()
    return [text[at : at + limit] for at in range(0, len(text), limit)]
