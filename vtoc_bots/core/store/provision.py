"""What a migrating login must find: roles, logins, memberships and schemas, as SQL that may be run again and again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Iterator
from typing import Any, Final

import asyncpg

from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store.schema import ENGINE_SCHEMA, schemas_by_database
from vtoc_bots.core.store.urls import ROLES, DatabaseUrl, DatabaseUrls, role_login

ENGINE_LOGIN: Final = "vtoc_app"
SHARED_SCHEMA: Final = "vtoc"
LOGINS: Final = (ENGINE_LOGIN, *(role_login(role) for role in ROLES))
_SCRAM_ITERATIONS: Final = 4096
# Supabase's gateway logs in as this and becomes the role that a token names.
_GATEWAY: Final = "authenticator"
_MAY_MAKE_ROLES: Final = "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
_IS_PROVISIONED: Final = """SELECT count(*) = cardinality($1::text[]) AND pg_has_role($2::name, 'vtoc_app', 'USAGE')
    FROM pg_roles WHERE rolname = ANY($1::text[])"""


def provisioning(engine: DatabaseUrl, owner: str, schemas: tuple[str, ...], *, in_clear: bool = True) -> Iterator[str]:
    """The statements for one database, each harmless to repeat; they look at the database, so they need no connection.

    `vtoc_app` holds the engine's rights: the login of `engine` is it, or is granted it. `vtoc_<role>` are the logins of
    stations' sessions: their passwords derive from `engine`'s, they own nothing, inherit nothing and are members of
    nothing. `owner` is the login that migrates, to which new schemas belong. Without `in_clear`, a password that can't
    be told as its verifier is left out.
    """
    for name in LOGINS:
        yield _unless(f"EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}')", f"CREATE ROLE {name} NOINHERIT")
    for role in ROLES:
        yield _let_in(role_login(role), engine.login(role_login(role)).password)
    user = _without_tenant(engine.user)
    if user != ENGINE_LOGIN:
        yield _member(ENGINE_LOGIN, user, "TRUE")
    elif in_clear or engine.password is None or engine.password.isascii():
        yield _let_in(ENGINE_LOGIN, engine.password)
    else:
        yield f"{_let_in(ENGINE_LOGIN, None)} -- and set its password, which is beyond ASCII: \\password {ENGINE_LOGIN}"
    for role in ROLES:
        yield _member(role_login(role), _GATEWAY, "FALSE")
    for name in LOGINS:
        grant = f"EXECUTE format('GRANT CONNECT ON DATABASE %I TO {name}', current_database())"
        yield _unless(f"has_database_privilege('{name}', current_database(), 'CONNECT')", grant)
    for schema in schemas:
        yield from _schema(schema, owner)


def provisioning_sql(urls: DatabaseUrls) -> str:
    """All of it as a script for psql, a transaction a database, with no password in clear."""
    parts = []
    for role, schemas in schemas_by_database(urls).items():
        admin, engine = urls.admin_of(role), urls.engine(role)
        name = _literal(admin.database)
        wrong = f"RAISE EXCEPTION 'this part is for the database %, not for %', {name}, current_database()"
        lines = [
            f"-- Database {_one_line(admin.address)}: run as a superuser, or as a login with CREATEROLE that owns it.",
            "BEGIN;",
            _unless(f"current_database() = {name}", wrong),
            *provisioning(engine, _without_tenant(admin.user), schemas, in_clear=False),
            "COMMIT;",
        ]
        parts.append("\n".join(lines))
    after = "-- Then `vtoc-bots db upgrade` makes the tables, with the grants on them and their policies."
    return "\n\n".join([*parts, after])


async def provision(raw: Any, admin: DatabaseUrl, engine: DatabaseUrl, schemas: tuple[str, ...]) -> None:
    """Run the statements for one database, on a connection of `admin`. Doing it again is harmless.

    Raises StartupError where the login may not, or the engine's login is not there.
    """
    owner = await raw.fetchval("SELECT current_user::text")
    try:
        async with raw.transaction():
            for statement in provisioning(engine, owner, schemas):
                await raw.execute(statement)
    except asyncpg.InsufficientPrivilegeError as error:
        raise _not_allowed(admin, str(error.args[0])) from error
    except asyncpg.UndefinedObjectError as error:
        raise StartupError(
            f"database at {engine.address} has no login {_without_tenant(engine.user)!r}: create it, "
            f"or correct DATABASE_URL"
        ) from error


async def ensure_provisioned(raw: Any, admin: DatabaseUrl, engine: DatabaseUrl, schemas: tuple[str, ...]) -> None:
    """Provision, unless this login may make no roles and somebody who may has done it. Raises StartupError."""
    if await raw.fetchval(_MAY_MAKE_ROLES):
        await provision(raw, admin, engine, schemas)
        return
    try:
        is_done = await raw.fetchval(_IS_PROVISIONED, list(LOGINS), _without_tenant(engine.user))
    except asyncpg.UndefinedObjectError:
        is_done = False
    if not is_done:
        raise _not_allowed(admin, "it has no CREATEROLE")


def _not_allowed(admin: DatabaseUrl, reason: str) -> StartupError:
    return StartupError(
        f"database at {admin.address}: the migrating login {admin.user!r} may not make roles and schemas ({reason}). "
        f"Set DATABASE_ADMIN_URL to one that may, or give `vtoc-bots db provision --print-sql` to who may run it"
    )


def _schema(schema: str, owner: str) -> Iterator[str]:
    """A schema that nobody uses but those who shall; the engine's brings the shared one along."""
    users = [ENGINE_LOGIN] if schema == ENGINE_SCHEMA else [role_login(schema), ENGINE_LOGIN]
    wanted = [(schema, users)]
    if schema == ENGINE_SCHEMA:
        wanted.append((SHARED_SCHEMA, list(LOGINS)))
    # The engine's login may not own what binds it: then whoever runs this keeps them.
    belongs = "" if owner == ENGINE_LOGIN else f" AUTHORIZATION {_identifier(owner)}"
    for name, members in wanted:
        yield _unless(f"to_regnamespace('{name}') IS NOT NULL", f"CREATE SCHEMA {name}{belongs}")
        yield f"REVOKE ALL ON SCHEMA {name} FROM PUBLIC; GRANT USAGE ON SCHEMA {name} TO {', '.join(members)};"


def _let_in(name: str, password: str | None) -> str:
    if password is None:
        return f"ALTER ROLE {name} LOGIN;"
    return f"ALTER ROLE {name} LOGIN PASSWORD {password_literal(password)};"


def _member(role: str, member: str, inherits: str) -> str:
    """Make `member` a member, with the role's rights at once or only by SET ROLE, unless it is (a superuser counts).

    From 16 on a role's creator may hand it out but not use it, and membership says itself whether it is inherited.
    """
    kind = "USAGE" if inherits == "TRUE" else "MEMBER"
    grant = f"GRANT {role} TO {_identifier(member)}"
    said = f"' WITH INHERIT {inherits}, SET TRUE'"
    how = f" || CASE WHEN current_setting('server_version_num')::int < 160000 THEN '' ELSE {said} END"
    is_member = f"pg_has_role({_literal(member)}, '{role}', '{kind}')"
    if member == _GATEWAY:
        # Only on Supabase. A CASE, because pg_has_role fails for a role that is not there.
        absent = f"NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{member}')"
        is_member = f"CASE WHEN {absent} THEN true ELSE {is_member} END"
    return _unless(is_member, f"EXECUTE {_literal(grant)}{how}")


def _unless(condition: str, statements: str) -> str:
    return f"DO $vtoc$ BEGIN IF NOT ({condition}) THEN {statements}; END IF; END $vtoc$;"


def _without_tenant(user: str) -> str:
    """A login as the server knows it: a pooler's tenant stands after a dot."""
    return user.partition(".")[0]


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def password_literal(password: str) -> str:
    """A password as ALTER ROLE takes it: its SCRAM-SHA-256 verifier (RFC 5803), so that no log shows it in clear.

    A password beyond ASCII is given as it is, because the server prepares such texts by its own rules first.
    """
    if not password.isascii():
        return _literal(password)
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, client, server)]
    return f"'SCRAM-SHA-256${_SCRAM_ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}'"
