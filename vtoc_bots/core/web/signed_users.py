"""Tokens of a Supabase project's signed-in users: checked, and what they claim. Loaded only where one is set."""

from __future__ import annotations

from typing import Any, Final

import jwt

from vtoc_bots.core.web.auth import refuse
from vtoc_bots.core.web.jwks import ALGORITHMS, KeySet

AUDIENCE: Final = "authenticated"
"""What Supabase gives the tokens of signed-in users; its anonymous and service keys have another or none."""
LEEWAY_SECONDS: Final = 30


class SignedUsers:
    """Checks by the project's shared secret, its published keys, or both; `issuer` is who must have issued."""

    def __init__(self, secret: str | None, keys: KeySet | None, issuer: str | None) -> None:
        self._jwt_secret, self.keys, self._issuer = secret, keys, issuer

    async def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that holds: signed, for signed-in users, not expired. Raises Refusal (401).

        The algorithm is pinned by the kind of key, never by what the token says alone.
        """
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            refuse("this is neither a station's token nor a signed one")
        algorithm = header.get("alg")
        key: Any = None
        if algorithm == "HS256":
            key = self._jwt_secret
        elif algorithm in ALGORITHMS and self.keys is not None and isinstance(header.get("kid"), str):
            key = await self.keys.key(header["kid"], algorithm)
        if key is None:
            refuse("nothing is set here by which this token's signature could be checked")
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[str(algorithm)],
                audience=AUDIENCE,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            refuse("this token has expired; sign in again")
        except (jwt.PyJWTError, ValueError, TypeError):
            refuse("this token does not hold: its signature, audience, issuer or times are wrong")
