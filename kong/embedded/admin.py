"""Kong's Admin API, as far as this project's tools and tests use it.

Entities can be created, changed and deleted as in a Kong with a database, and the whole configuration replaced as in
one without; either way each accepted request is one `store.replace`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import socket
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from kong_declarative import declarative, yaml_document
from kong_declarative.bundled_schemas import VERSION
from kong_declarative.configuration import Configuration, Store
from kong_declarative.configuration_error import ConfigurationError
from kong_declarative.entities import Entity
from kong_declarative.flattened_errors import flattened_errors
from kong_declarative.yaml_document import Document
from ruamel.yaml import YAML

from kong.embedded import admin_error, request_body
from kong.embedded.admin_error import AdminError, method_not_allowed, not_found
from kong.embedded.draft import Draft

# The largest body, as Kong's Admin API has it.
_LARGEST_BODY = 10 * 1024 * 1024
_PAGE, _LARGEST_PAGE = 100, 1000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_admin(store: Store, *, node_id: str | None = None) -> web.Application:
    """An application that reads and changes `store`."""
    application = web.Application(client_max_size=_LARGEST_BODY, middlewares=[_errors])
    application[_STORE] = store
    application[_NODE] = node_id or str(uuid.uuid4())
    application.router.add_get("/", _root)
    application.router.add_get("/status", _status)
    application.router.add_get("/config", _export)
    application.router.add_post("/config", _load)
    application.router.add_get("/plugins/enabled", _enabled_plugins)
    application.router.add_post("/schemas/{kind}/validate", _validate)
    application.router.add_route("*", "/{path:.+}", _entities)
    return application


_STORE = web.AppKey("store", Store)
_NODE = web.AppKey("node", str)


def _answer(body: Any, status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        body=None if body is None else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(),
        content_type=None if body is None else "application/json",
        charset=None if body is None else "utf-8",
        headers={"Server": f"kong/{VERSION} (embedded)", "Access-Control-Allow-Origin": "*"},
    )


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except AdminError as error:
        return _answer(error.body, error.status)
    except web.HTTPMethodNotAllowed:
        return _answer({"message": "Method not allowed"}, 405)
    except web.HTTPNotFound:
        return _answer({"message": "Not found"}, 404)
    except web.HTTPRequestEntityTooLarge:
        return _answer({"message": "Payload too large"}, 413)


async def _root(request: web.Request) -> web.Response:
    store = request.app[_STORE]
    available = {
        name: {"version": definition.version, "priority": definition.priority}
        for name, definition in store.catalogue.items()
    }
    enabled = sorted({plugin.name for plugin in store.current.plugins})
    return _answer(
        {
            "tagline": "Welcome to kong (embedded)",
            "version": VERSION,
            "edition": "community",
            "hostname": socket.gethostname(),
            "node_id": request.app[_NODE],
            "plugins": {"available_on_server": available, "enabled_in_cluster": enabled},
            "configuration": {"database": "off", "router_flavor": "traditional_compatible"},
            "pids": {"master": os.getpid()},
        }
    )


async def _status(request: web.Request) -> web.Response:
    return _answer(
        {
            "database": {"reachable": True},
            "memory": {"workers_lua_vms": [], "lua_shared_dicts": {}},
            "server": {"total_requests": 0, "connections_active": 0},
            "configuration_hash": request.app[_STORE].current.hash,
        }
    )


async def _enabled_plugins(request: web.Request) -> web.Response:
    return _answer({"enabled_plugins": sorted(request.app[_STORE].catalogue)})


async def _validate(request: web.Request) -> web.Response:
    store = request.app[_STORE]
    kind = request.match_info["kind"]
    if kind not in store.catalogue.schemas.kinds:
        raise admin_error.refused(404, f"No entity named '{kind}'")
    data, _ = await request_body.read(request)
    Draft(store.current.tables, store.catalogue.schemas).check(kind, data)
    return _answer({"message": "schema validation successful"})


async def _export(request: web.Request) -> web.Response:
    tables = request.app[_STORE].current.tables
    exported: dict[str, Any] = {"_format_version": "3.0", "_transform": False}
    for kind, table in tables.items():
        if table:
            exported[kind] = [_exported(entity) for entity in table.values()]
    text = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(exported, text)
    return _answer({"config": text.getvalue()})


def _exported(entity: Entity) -> dict[str, Any]:
    fields = {name: value for name, value in entity.items() if value is not None}
    for name in ("service", "route", "consumer"):
        if name in fields:
            fields[name] = fields[name]["id"]
    return fields


async def _load(request: web.Request) -> web.Response:
    store = request.app[_STORE]
    options: dict[str, Any] = dict(request.query)
    document, digest = await _declared(request, options)
    if str(options.get("check_hash")) == "1" and digest == store.current.hash:
        return _answer(None, 304)
    try:
        if isinstance(document, ConfigurationError):
            raise document
        configuration = declarative.load_document(
            document, store.catalogue, environ=store.environ, hash=digest
        )
    except ConfigurationError as error:
        body = admin_error.declarative(error.errors)
        flatten = str(options.get("flatten_errors", "")).lower() in ("1", "true", "on", "yes")
        if flatten and isinstance(document, Document):
            body |= flattened_errors(error.errors, document.value, store.catalogue.schemas)
        return _answer(body, 400)
    store.replace(configuration)
    return _answer(configuration.as_entities(), 201)


async def _declared(
    request: web.Request, options: dict[str, Any]
) -> tuple[Document | ConfigurationError, str]:
    """The configuration in a request's body and its hash; what is beside it in the body goes into `options`."""
    kind = request.headers.get("Content-Type", "").lower()
    text: str | bytes
    if kind.startswith("application/json"):
        params, _ = await request_body.read(request)
        options |= {name: params.pop(name) for name in ("check_hash", "flatten_errors") if name in params}
        if "_format_version" in params:
            return Document(params), _md5(json.dumps(params, sort_keys=True).encode())
        text = params["config"] if isinstance(params.get("config"), str) else await request.read()
    elif kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
        form = dict(await request_body.fields(request))
        options |= {name: form[name] for name in ("check_hash", "flatten_errors") if name in form}
        # What `curl --data-binary @kong.yml` sends says that it is a form, and is not.
        text = form["config"] if "config" in form else await request.read()
    else:
        text = await request.read()
        if (kind or text) and not kind.startswith(("application/yaml", "text/yaml")):
            raise admin_error.refused(415, "Unsupported Media Type")
    if not text:
        raise admin_error.refused(400, "expected a declarative configuration")
    digest = _md5(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
    try:
        return yaml_document.parse(text), digest
    except ConfigurationError as error:
        return error, digest


def _md5(text: bytes) -> str:
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class _Place:
    """What a path names: a collection (`key` None) or an entity, possibly of those that refer to another one."""

    kind: str
    key: str | None
    field: str | None = None  # the field that refers to `owner`
    owner: Entity | None = None


async def _entities(request: web.Request) -> web.Response:
    store = request.app[_STORE]
    draft = Draft(store.current.tables, store.catalogue.schemas)
    place = _place(draft, store, [part for part in request.match_info["path"].split("/") if part])
    if request.method in ("GET", "HEAD"):
        return _read(request, draft, place)
    body: Any = None
    status = 200
    if request.method == "DELETE" and place.key is not None:
        _existing(draft, place, missing_is_fine=True)
        draft.delete(place.kind, place.key)
        status = 204
    elif request.method == "POST" and place.key is None:
        body = draft.insert(place.kind, await _given(request, store, draft, place))
        status = 201
    elif request.method == "PUT" and place.key is not None:
        body = draft.upsert(place.kind, place.key, await _given(request, store, draft, place))
    elif request.method == "PATCH" and place.key is not None:
        _existing(draft, place)
        body = draft.update(place.kind, place.key, await _given(request, store, draft, place))
        if body is None:
            raise not_found()
    else:
        raise method_not_allowed()
    store.replace(Configuration(draft.tables, store.catalogue, store.environ))
    return _answer(body, status)


def _place(draft: Draft, store: Store, parts: Sequence[str]) -> _Place:
    """Raises AdminError 404 for a path that names nothing."""
    schemas = store.catalogue.schemas
    collections = {kind.path or name: name for name, kind in schemas.kinds.items()}
    kind = collections.get(parts[0]) if parts else None
    if kind is None or len(parts) > 4:
        raise not_found()
    if len(parts) <= 2:
        return _Place(kind, parts[1] if len(parts) == 2 else None)
    owner = draft.select(kind, parts[1])
    if owner is None:
        raise not_found()
    for child, field in schemas.children(kind):
        if parts[2] == (schemas.kinds[child].nested_path or child):
            return _Place(child, parts[3] if len(parts) == 4 else None, field, owner)
    referenced = schemas.kinds[kind].foreign.get(parts[2])
    if referenced is None or len(parts) == 4 or owner.get(parts[2]) is None:
        raise not_found()
    return _Place(referenced, owner[parts[2]]["id"])


def _existing(draft: Draft, place: _Place, missing_is_fine: bool = False) -> Entity | None:
    """The entity that a path names. Raises AdminError 404 when there is none, or it belongs to another one."""
    entity = draft.select(place.kind, place.key or "")
    if entity is None and missing_is_fine and place.owner is None:
        return None
    if entity is None:
        raise not_found()
    if place.owner is not None and (entity.get(place.field or "") or {}).get("id") != place.owner["id"]:
        raise not_found()
    return entity


async def _given(request: web.Request, store: Store, draft: Draft, place: _Place) -> Mapping[str, Any]:
    data, is_form = await request_body.read(request)
    present = draft.select(place.kind, place.key) if place.key is not None else None
    if is_form:
        told = {"name": present["name"], **data} if place.kind == "plugins" and present is not None else data
        data = request_body.inferred(told, store.catalogue.schemas.of[place.kind])
    if place.owner is not None and place.field is not None and (request.method != "PATCH"):
        data = {**data, place.field: {"id": place.owner["id"]}}
    return data


def _read(request: web.Request, draft: Draft, place: _Place) -> web.Response:
    if place.key is not None:
        return _answer(_existing(draft, place))
    if place.owner is not None and place.field is not None:
        found = draft.referring(place.kind, place.field, place.owner["id"])
    else:
        found = list(draft.tables[place.kind].values())
    query = request.query
    if place.kind == "consumers" and "custom_id" in query:
        found = [entity for entity in found if entity["custom_id"] == query["custom_id"]]
    if query.get("tags"):
        found = [entity for entity in found if _has_tags(entity, query["tags"])]
    size, start = _page(query)
    body: dict[str, Any] = {"data": found[start : start + size], "next": None}
    if start + size < len(found):
        offset = base64.urlsafe_b64encode(str(start + size).encode()).decode()
        body |= {"offset": offset, "next": f"{request.path}?offset={offset}"}
    return _answer(body)


def _has_tags(entity: Entity, wanted: str) -> bool:
    tags = set(entity.get("tags") or ())
    return bool(tags & set(wanted.split("/"))) if "/" in wanted else set(wanted.split(",")) <= tags


def _page(query: Mapping[str, str]) -> tuple[int, int]:
    size = query.get("size", str(_PAGE))
    if not size.isdigit():
        raise AdminError(400, {"code": 9, "name": "invalid size", "message": "size must be a number"})
    if not 1 <= int(size) <= _LARGEST_PAGE:
        text = f"size must be an integer between 1 and {_LARGEST_PAGE}"
        raise AdminError(400, {"code": 9, "name": "invalid size", "message": text})
    try:
        start = int(base64.urlsafe_b64decode(query.get("offset", "MA==")))
    except ValueError:
        text = f"'{query['offset']}' is not a valid offset: bad base64 encoding"
        raise AdminError(400, {"code": 7, "name": "invalid offset", "message": text}) from None
    return int(size), max(start, 0)
