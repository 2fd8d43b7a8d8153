"""The OpenAPI 3.1 document of the API, made from its operations, and a page that shows it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from vtoc_bots.core.web.problems import CONTENT_TYPE
from vtoc_bots.core.web.typed import EVENTS, JSON, NDJSON, PREFIX, Operation

_REF: Final = "#/components/schemas/{model}"
_PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail", "correlation_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "correlation_id": {"type": "string", "format": "uuid"},
        "errors": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}},
    },
}
_EVENT: Final = {
    "type": "object",
    "title": "Event",
    "description": "One server-sent event; data is JSON.",
    "required": ["id", "event", "data"],
    "properties": {"id": {"type": "string"}, "event": {"enum": ["step", "run"]}, "data": {"type": "string"}},
}
_ABOUT: Final = """Every request carries `Authorization: Bearer <token>`: a station's token (`vtoc-bots token create`) \
or a signed-in user's Supabase token. It is for one station; `X-Station-Id`, `X-Station-Slug`, `X-ChatKit-Station` or \
`X-TOC-Station` may name that station, never another. Lists give the next page's cursor in `X-Next-Cursor` and `Link`. \
Times are UTC, units SI."""


def openapi(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """The document."""
    schemas, components = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(PREFIX + each.path, {})[each.method.lower()] = _operation(each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "vtoc-bots", "version": version, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
    }


def _schemas(operations: Iterable[Operation]) -> tuple[dict[tuple[str, str], Any], dict[str, Any]]:
    """The schema of each operation's body, answer and query, by (operation, kind), and those they refer to."""
    wanted: list[tuple[tuple[str, str], Literal["validation", "serialization"], TypeAdapter[Any]]] = []
    for each in operations:
        if each.body is not None:
            wanted.append(((each.id, "body"), "validation", each.body))
        if each.answer is not None:
            wanted.append(((each.id, "answer"), "serialization", each.answer))
        for name, kind in each.path_types.items():
            wanted.append(((each.id, f"path {name}"), "validation", kind))
    made, shared = TypeAdapter.json_schemas(wanted, ref_template=_REF)
    return {key: schema for (key, _), schema in made.items()}, shared.get("$defs", {})


def _operation(each: Operation, schemas: dict[tuple[str, str], Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": each.id,
        "summary": each.summary,
        "tags": [each.tag],
        "parameters": [*_path_parameters(each, schemas), *_query_parameters(each), *_header_parameters(each)],
        "responses": _responses(each, schemas),
    }
    if each.description:
        described["description"] = each.description
    if each.signed:
        described["security"] = []
    if (each.id, "body") in schemas:
        content = {JSON: {"schema": schemas[each.id, "body"]}}
        if each.ndjson:
            content[NDJSON] = {"schema": {"type": "string", "description": "One JSON object a line"}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path_parameters(each: Operation, schemas: dict[tuple[str, str], Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": schemas[each.id, f"path {name}"]}
        for name in re.findall(r"\{(\w+)", each.path)
    ]


def _query_parameters(each: Operation) -> list[dict[str, Any]]:
    if each.query is None:
        return []
    schema = each.query.model_json_schema()
    parameters = []
    for name, found in schema.get("properties", {}).items():
        # A parameter that is not sent is null already; null can't be written in a query.
        options = [option for option in found.get("anyOf", ()) if option != {"type": "null"}]
        own = {key: value for key, value in found.items() if key not in ("anyOf", "title", "description")}
        merged = {**own, **(options[0] if options else {})}
        if merged.get("default", 0) is None:
            del merged["default"]
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": merged}
        if "description" in found:
            parameter["description"] = found["description"]
        parameters.append(parameter)
    return parameters


def _header_parameters(each: Operation) -> list[dict[str, Any]]:
    if each.keyed:
        schema = {"type": "string", "pattern": "^[!-~]{1,255}$"}
        about = "The same request under the same key is done once"
        return [{"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema, "description": about}]
    if each.signed:
        names = (("X-ChatKit-Signature", True), ("X-ChatKit-Timestamp", False))
        return [{"name": n, "in": "header", "required": needed, "schema": {"type": "string"}} for n, needed in names]
    return []


def _responses(each: Operation, schemas: dict[tuple[str, str], Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(each.status).phrase}
    if each.is_stream:
        good["content"] = {EVENTS: {"schema": _EVENT}}
    elif (each.id, "answer") in schemas:
        good["content"] = {JSON: {"schema": schemas[each.id, "answer"]}}
    if each.is_page:
        good["headers"] = {
            "X-Next-Cursor": {"schema": {"type": "string"}, "description": "Where the next page begins"},
            "Link": {"schema": {"type": "string"}, "description": "The next page (RFC 8288)"},
        }
    responses = {str(each.status): good}
    if each.is_stream:
        responses["204"] = {"description": "It has ended, and its end was seen"}
    for status in each.problems:
        schema = {"$ref": _REF.format(model="Problem")}
        content = {CONTENT_TYPE: {"schema": schema}}
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    return responses


def docs_page(document: dict[str, Any]) -> str:
    """The document as one HTML page that needs nothing from elsewhere."""
    parts = []
    for path, methods in document["paths"].items():
        for method, found in methods.items():
            parts.append(_section(path, method.upper(), found))
    schemas = "".join(
        f"<details id='{html.escape(name)}'><summary>{html.escape(name)}</summary>{_schema(schema)}</details>"
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    about = html.escape(document["info"]["description"])
    title = f"{document['info']['title']} {document['info']['version']}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)} API</title>"
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style><h1>{html.escape(title)} API</h1>"
        f"<p>{about}</p><p><a href='openapi.json'>openapi.json</a></p>{''.join(parts)}<h2>Schemas</h2>{schemas}</html>"
    )


def _section(path: str, method: str, found: dict[str, Any]) -> str:
    rows = [
        (f"{p['in']} {p['name']}{'' if p['required'] else ' (optional)'}", p.get("description", ""), p["schema"])
        for p in found["parameters"]
    ]
    body = found.get("requestBody", {}).get("content", {})
    rows += [(f"body {kind}", "", media["schema"]) for kind, media in body.items()]
    for status, response in found["responses"].items():
        content = response.get("content", {})
        shown: dict[str, Any] = next((media["schema"] for kind, media in content.items() if kind != CONTENT_TYPE), {})
        rows.append((f"answer {status}", response["description"], shown))
    lines = "".join(
        f"<tr><th>{html.escape(name)}<td>{html.escape(about)}<td>{_schema(schema)}" for name, about, schema in rows
    )
    description = html.escape(found.get("description", "")).replace("\n\n", "<p>")
    return (
        f"<section id='{found['operationId']}'><h3><b>{method}</b> <code>{html.escape(path)}</code></h3>"
        f"<p>{html.escape(found['summary'])}.<p>{description}<table>{lines}</table></section>"
    )


def _schema(schema: dict[str, Any]) -> str:
    """A schema in short: its type, or a link to where it stands."""
    if "$ref" in schema:
        name = html.escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    if "properties" in schema:
        needed = schema.get("required", ())
        return (
            "<table>"
            + "".join(
                f"<tr><th>{html.escape(name)}{'' if name in needed else ' (optional)'}"
                f"<td>{html.escape(part.get('description', ''))}<td>{_schema(part)}"
                for name, part in schema["properties"].items()
            )
            + "</table>"
        )
    if "anyOf" in schema:
        return " or ".join(_schema(option) for option in schema["anyOf"])
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        return f"list of {_schema(schema['items'])}"
    if "enum" in schema:
        return html.escape(", ".join(map(str, schema["enum"])))
    return html.escape(" ".join(str(schema[key]) for key in ("type", "format", "const") if key in schema))


_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "section,details{border-top:1px solid #ccc;padding:.3rem 0}table{border-collapse:collapse;font-size:.9rem}"
    "th,td{text-align:left;vertical-align:top;padding:.15rem .8rem .15rem 0;font-weight:normal}h3 b{color:#05a}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}a{color:#8bf}h3 b{color:#8bf}}"
)
