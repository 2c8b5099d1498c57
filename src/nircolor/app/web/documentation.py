"""The page that describes the API, made from its OpenAPI description."""

import json
from html import escape
from typing import Any


def render(openapi: dict[str, Any], template: str) -> str:
    """Render the page; unlike that of Swagger, it needs no script.

    Args:
        openapi: The OpenAPI description.
        template: The page, with ``$contents``.
    """
    schemas = openapi.get("components", {}).get("schemas", {})
    groups: dict[str, list[str]] = {}
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            title = operation.get("tags", ["Other"])[0]
            groups.setdefault(title, []).append(_operation(method, path, operation, schemas))
    parts = [f"<p>{_text(openapi['info'].get('description', ''))}</p>"]
    parts += [f"<h2>{escape(title)}</h2>{''.join(found)}" for title, found in groups.items()]
    return template.replace("$contents", "\n".join(parts))


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    rows = [
        (one["name"], one.get("schema", {}), one.get("description", ""), one.get("required", False))
        for one in operation.get("parameters", [])
    ]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(content.get("schema", {}), schemas)
        required = schema.get("required", [])
        rows += [
            (name, part, part.get("description", ""), name in required)
            for name, part in schema.get("properties", {}).items()
        ]
        note = f"<p class=note>Body: {escape(kind)}</p>"
        break
    else:
        note = ""
    table = "".join(
        f"<tr><td><code>{escape(name)}</code>{' *' if required else ''}</td>"
        f"<td>{escape(_kind(schema, schemas))}</td><td>{_text(description)}</td></tr>"
        for name, schema, description, required in rows
    )
    answers = "".join(
        f"<tr><td><code>{escape(code)}</code></td><td>{escape(_answer_kind(answer))}</td>"
        f"<td>{_text(answer.get('description', ''))}</td></tr>"
        for code, answer in operation.get("responses", {}).items()
    )
    return (
        f"<details><summary><b class={escape(method)}>{escape(method.upper())}</b> "
        f"<code>{escape(path)}</code> <span>{escape(operation.get('summary', ''))}</span></summary>"
        f"<p>{_text(operation.get('description', ''))}</p>{note}"
        + (f"<table><thead><tr><th>Field<th>Type<th>Meaning</thead>{table}</table>" if table else "")
        + f"<table><thead><tr><th>Status<th>Type<th>Meaning</thead>{answers}</table></details>"
    )


def _answer_kind(answer: dict[str, Any]) -> str:
    for kind, content in answer.get("content", {}).items():
        schema = content.get("schema", {})
        name = schema.get("$ref", schema.get("items", {}).get("$ref", "")).rpartition("/")[2]
        return f"{kind} {name}".strip()
    return ""


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = schemas.get(name, schema)
    return found


def _kind(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Describe a type in words."""
    schema = _resolved(schema, schemas)
    options = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    if options:
        return " or ".join(_kind(one, schemas) for one in options)
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}), schemas)}"
    is_file = schema.get("format") == "binary" or "contentMediaType" in schema
    text = "file" if is_file else str(schema.get("type", ""))
    default = schema.get("default")
    return text if default is None else f"{text}, default {json.dumps(default)}"


def _text(text: str) -> str:
    """Escape text; parts between backquotes become code."""
    parts = escape(" ".join(text.split())).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
