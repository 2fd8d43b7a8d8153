"""Which SQL a station's session may run: one plain statement that leaves its claims alone."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from vtoc_bots.core.errors import Forbidden

_VERBS: Final = re.compile(r"\s*(select|insert|update|delete|merge|with|values)\b", re.IGNORECASE)
# Functions that would change who the session is, or run SQL that stands in a text; and the escaped spelling of names,
# under which one of them could hide. The whole text is searched, literals too: a false alarm is answered by passing the
# text as a parameter, which is where it belongs.
_NAMES: Final = re.compile(
    r"\b(set_config|(query|cursor|table|schema|database)_to_xml\w*|ts_stat|ts_rewrite|dblink\w*|crosstab\w*|connectby"
    r"|xpath_table|pg_(try_)?advisory_(un)?lock\w*|lo_\w+|pg_notify)\b|u&\s*\"",
    re.IGNORECASE,
)


@lru_cache(maxsize=1024)
def refusal(sql: str) -> str | None:
    """Why a session refuses a statement, or None.

    This is the second fence. The first is the database's: a session's login owns nothing but the rights on its role's
    schema, so SET ROLE and RESET ROLE gain nothing. Between stations of one role stand the claims, which SQL could set
    itself; hence statements are parameterised, one at a time, and those that would touch the claims are refused here.
    """
    if not _VERBS.match(sql):
        return (
            "a session runs SELECT, INSERT, UPDATE, DELETE, MERGE, WITH and VALUES; the text must begin with that word"
        )
    found = _NAMES.search(sql)
    if found:
        return f"a session does not run {found[0].lower()}; pass texts as parameters"
    return None


def check_statement(sql: str) -> None:
    """Raises Forbidden where a session refuses the statement."""
    reason = refusal(sql)
    if reason:
        raise Forbidden(f"session: {reason}. The statement was {sql.strip()[:60]!r}")
