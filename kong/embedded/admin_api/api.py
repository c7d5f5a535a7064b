"""Kong's Admin API, as far as this project's tools and tests use it.

It is that of a Kong without a database: entities can be read, and the configuration can be replaced as a whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from kong_declarative import declarative, yaml_document
from kong_declarative.bundled_schemas import VERSION
from kong_declarative.configuration import Store
from kong_declarative.configuration_error import ConfigurationError
from kong_declarative.entities import Entity
from kong_declarative.yaml_document import Document
from ruamel.yaml import YAML

from kong.embedded.admin_api import errors as admin_error
from kong.embedded.admin_api.errors import AdminError, method_not_allowed, not_found, unsupported

# The largest body, as Kong's Admin API has it.
_LARGEST_BODY = 10 * 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_admin(
    store: Store, *, node_id: str | None = None, adapt: Callable[[Any], None] | None = None
) -> web.Application:
    """An application that reads and changes `store`; `adapt` may change a posted configuration before it is read."""
    application = web.Application(client_max_size=_LARGEST_BODY, middlewares=[_errors])
    application[_STORE] = store
    application[_ADAPT] = adapt
    application[_NODE] = node_id or str(uuid.uuid4())
    application.router.add_get("/", _root)
    application.router.add_get("/status", _status)
    application.router.add_get("/config", _export)
    application.router.add_post("/config", _load)
    application.router.add_post("/schemas/{kind}/validate", _validate)
    application.router.add_route("*", "/{path:.+}", _entities)
    return application


_STORE = web.AppKey("store", Store)
_NODE = web.AppKey("node", str)
_ADAPT: web.AppKey[Callable[[Any], None] | None] = web.AppKey("adapt")


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


async def _validate(request: web.Request) -> web.Response:
    store = request.app[_STORE]
    kind = request.match_info["kind"]
    if kind not in store.catalogue.schemas.kinds:
        raise admin_error.refused(404, f"No entity named '{kind}'")
    schema = store.catalogue.schemas.of[kind]
    errors = schema.validate(schema.complete(await _object(request)))
    if errors:
        raise admin_error.schema_violation(errors)
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
    if "flatten_errors" in options:
        raise _not_here("flatten_errors")
    if str(options.get("check_hash")) == "1" and digest == store.current.hash:
        return _answer(None, 304)
    try:
        if isinstance(document, ConfigurationError):
            raise document
        if adapt := request.app[_ADAPT]:
            adapt(document.value)
        configuration = declarative.load_document(
            document, store.catalogue, environ=store.environ, hash=digest
        )
    except ConfigurationError as error:
        return _answer(admin_error.declarative(error.errors), 400)
    store.replace(configuration)
    return _answer(configuration.as_entities(), 201)


async def _declared(
    request: web.Request, options: dict[str, Any]
) -> tuple[Document | ConfigurationError, str]:
    """The configuration in a request's body and its hash; what is beside it in the body goes into `options`."""
    kind = request.headers.get("Content-Type", "").lower()
    text: str | bytes
    if kind.startswith("application/json"):
        params = await _object(request)
        options |= {name: params.pop(name) for name in ("check_hash", "flatten_errors") if name in params}
        if "_format_version" in params:
            return Document(params), _md5(json.dumps(params, sort_keys=True).encode())
        text = params["config"] if isinstance(params.get("config"), str) else await request.read()
    elif kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
        form = await _form(request)
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


async def _object(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    try:
        value = json.loads(raw) if raw else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise admin_error.refused(400, "Cannot parse JSON body")
    return value


async def _form(request: web.Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            found[name] = value.file.read().decode("utf-8", "replace")
        else:
            found[name] = value if isinstance(value, str) else bytes(value).decode("utf-8", "replace")
    return found


def _md5(text: bytes) -> str:
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


# What a method would do to an entity, in the words of Kong's refusal.
_CHANGES = {"POST": "create", "PUT": "create or update", "PATCH": "update", "DELETE": "remove"}


async def _entities(request: web.Request) -> web.Response:
    store = request.app[_STORE]
    if request.path in ("/status", "/config"):  # other methods of theirs have a route
        raise method_not_allowed()
    kind, key = _place(store, request.path)
    if request.method in ("GET", "HEAD"):
        return _read(request, store, kind, key)
    change = _CHANGES.get(request.method)
    if change is None or (request.method == "POST") != (key is None):
        raise method_not_allowed()
    if request.method in ("PATCH", "DELETE") and _select(store, kind, key) is None:
        if request.method == "DELETE":
            return _answer(None, 204)
        raise not_found()
    by = None if key is None or _is_uuid(key) else store.catalogue.schemas.kinds[kind].endpoint_key
    raise unsupported(change, kind, by)


def _select(store: Store, kind: str, key: str | None) -> Entity | None:
    """By id, or by what stands for it: a name, a user name, a key."""
    table = store.current.tables.get(kind, {})
    found = table.get(key or "")
    endpoint_key = store.catalogue.schemas.kinds[kind].endpoint_key
    if found is not None or endpoint_key is None or key is None or _is_uuid(key):
        return found
    return next((entity for entity in table.values() if entity[endpoint_key] == key), None)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _place(store: Store, path: str) -> tuple[str, str | None]:
    """Kind and key of what a path names, as `/consumers/acme`; no key: all of a kind. Raises AdminError."""
    name, *rest = path.strip("/").split("/")
    kind = next(
        (kind.name for kind in store.catalogue.schemas.kinds.values() if name == (kind.path or kind.name)),
        None,
    )
    if kind is None:
        raise not_found()
    if len(rest) > 1:  # what belongs to an entity, as `/consumers/acme/plugins`
        raise _not_here(path)
    return kind, rest[0] if rest else None


def _read(request: web.Request, store: Store, kind: str, key: str | None) -> web.Response:
    if key is not None:
        entity = _select(store, kind, key)
        if entity is None:
            raise not_found()
        return _answer(entity)
    if request.query:  # pages, tags, a custom_id
        raise _not_here(next(iter(request.query)))
    return _answer({"data": list(store.current.tables.get(kind, {}).values()), "next": None})


def _not_here(name: str) -> AdminError:
    return admin_error.refused(400, f"'{name}' is not supported by the embedded gateway")
