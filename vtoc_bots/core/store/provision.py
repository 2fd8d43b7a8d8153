"""The database's roles and logins: made, given their passwords, and granted to who needs them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import Any, Final

import asyncpg

from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store.urls import ROLES, DatabaseUrl, role_login

ENGINE_LOGIN: Final = "vtoc_app"
_SCRAM_ITERATIONS: Final = 4096
# Supabase's gateway logs in as this and becomes the role that a token names.
_GATEWAY: Final = "authenticator"


async def provision(raw: Any, engine: DatabaseUrl) -> None:
    """Make the roles that policies and grants name, on a connection of the migrating login. Doing it again is harmless.

    `vtoc_app` holds the engine's rights: the login of `engine` is it, or is granted it. `vtoc_<role>` are the logins of
    stations' sessions: their passwords derive from `engine`'s, they own nothing, inherit nothing and are members of
    nothing. Raises StartupError where the login may not make roles.
    """
    wanted = [ENGINE_LOGIN, *(role_login(role) for role in ROLES)]
    try:
        existing = {row["rolname"] for row in await raw.fetch("SELECT rolname::text FROM pg_roles")}
        for name in wanted:
            if name not in existing:
                await raw.execute(f"CREATE ROLE {name} NOINHERIT")
        for role in ROLES:
            login = engine.login(role_login(role))
            await _let_in(raw, role_login(role), login.password)
            if _GATEWAY in existing:
                await _grant(raw, role_login(role), _GATEWAY, inherited=False)
        user = engine.user.partition(".")[0]
        if user == ENGINE_LOGIN:
            await _let_in(raw, ENGINE_LOGIN, engine.password)
        elif user in existing:
            await _grant(raw, ENGINE_LOGIN, user, inherited=True)
        else:
            raise StartupError(
                f"database at {engine.address} has no login {user!r}: create it, or correct DATABASE_URL"
            )
    except asyncpg.InsufficientPrivilegeError as error:
        raise StartupError(
            f"database at {engine.address}: the migrating login may not make roles ({error.args[0]}). "
            f"Set DATABASE_ADMIN_URL to one with CREATEROLE"
        ) from error


async def _let_in(raw: Any, name: str, password: str | None) -> None:
    if password is None:
        await raw.execute(f"ALTER ROLE {name} LOGIN")
        return
    await raw.execute(f"ALTER ROLE {name} LOGIN PASSWORD {password_literal(password)}")


async def _grant(raw: Any, role: str, member: str, *, inherited: bool) -> None:
    """Make `member` a member, with the role's rights at once or only by SET ROLE, unless it is (a superuser counts)."""
    kind = "USAGE" if inherited else "MEMBER"
    if await raw.fetchval("SELECT pg_has_role($1::name, $2::name, $3)", member, role, kind):
        return
    # From 16 on a role's creator may hand it out but not use it, and membership says itself whether it is inherited.
    is_said = raw.get_server_version().major >= 16
    how = f" WITH INHERIT {inherited}, SET TRUE" if is_said else ""
    quoted = member.replace('"', '""')
    await raw.execute(f'GRANT {role} TO "{quoted}"{how}')


def password_literal(password: str) -> str:
    """A password as ALTER ROLE takes it: its SCRAM-SHA-256 verifier (RFC 5803), so that no log shows it in clear.

    A password beyond ASCII is given as it is, because the server prepares such texts by its own rules first.
    """
    if not password.isascii():
        return "'" + password.replace("'", "''") + "'"
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, client, server)]
    return f"'SCRAM-SHA-256${_SCRAM_ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}'"
