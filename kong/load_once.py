"""Load a declarative configuration into a Kong with a database, through its Admin API, if it has none yet.

    load_once.py kong.yml http://127.0.0.1:8001

Once, because from then on the database is the truth: whoever switches a consumer off through the Admin API does not
want it on again after a restart. For more than a first start there is decK. (Kong's own `kong config db_import` would
do, but Kong 3.9 cannot run it with a plugin server: "attempt to index upvalue 'kong'".)

All or nothing. Kong judges every entity before the first is created; services are created switched off, so that none
of their routes exists for a client, and switched on when everything else is there. A service of its own, MARKER, says
that a load has begun and not ended: the next start removes what that load has made, and begins anew.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

Entity = dict[str, Any]

MARKER = "load-once-unfinished"
"""Name of the service that is there while a load is under way."""

TAG = "load-once"
"""On everything that a load makes."""

ADAPTER = "yeastar-adapter"
OF_THE_FILE = ("_format_version", "_transform", "_comment", "_ignore", "_info")


class Kind(NamedTuple):
    """A collection: its path in the Admin API, the field that names an entity, and fields that refer to others."""

    path: str
    name: str
    foreign: Mapping[str, str] = MappingProxyType({})


_OF_A_CONSUMER = {"consumer": "consumers"}
# In the order in which entities may refer to each other.
KINDS = {
    "vaults": Kind("vaults", "prefix"),
    "ca_certificates": Kind("ca_certificates", "id"),
    "certificates": Kind("certificates", "id"),
    "snis": Kind("snis", "name", {"certificate": "certificates"}),
    "upstreams": Kind("upstreams", "name"),
    "targets": Kind("targets", "target", {"upstream": "upstreams"}),
    "services": Kind("services", "name", {"client_certificate": "certificates"}),
    "routes": Kind("routes", "name", {"service": "services"}),
    "consumers": Kind("consumers", "username"),
    "keyauth_credentials": Kind("key-auths", "key", _OF_A_CONSUMER),
    "basicauth_credentials": Kind("basic-auths", "username", _OF_A_CONSUMER),
    "hmacauth_credentials": Kind("hmac-auths", "username", _OF_A_CONSUMER),
    "jwt_secrets": Kind("jwts", "key", _OF_A_CONSUMER),
    "acls": Kind("acls", "group", _OF_A_CONSUMER),
    "plugins": Kind("plugins", "id", {"service": "services", "route": "routes", "consumer": "consumers"}),
}


class NotLoaded(Exception):
    """The configuration could not be loaded; the message says what to do."""


class AdminApi:
    """Kong's Admin API at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def call(self, method: str, path: str, body: Entity | None = None) -> Entity | None:
        """The answer's JSON; None for one without a body, and where there is no such thing.

        Raises NotLoaded with Kong's words.
        """
        request = urllib.request.Request(f"{self.url}/{path}", method=method)
        request.add_header("Content-Type", "application/json")
        content = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, content, timeout=30) as answer:
                said = answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 404 and method in ("GET", "DELETE"):
                return None
            raise NotLoaded(
                f"{method} /{path}: {error.code} {error.read().decode(errors='replace')}"
            ) from None
        except OSError as error:
            raise NotLoaded(f"{method} /{path}: {error}") from None
        found: Entity | None = json.loads(said) if said else None
        return found

    def all(self, path: str, tag: str | None = None) -> list[Entity]:
        """Every entity of a collection, over all pages."""
        found: list[Entity] = []
        query = {"size": "1000"} | ({"tags": tag} if tag else {})
        following: str | None = f"{path}?{urllib.parse.urlencode(query)}"
        while following:
            page = self.call("GET", following.lstrip("/")) or {}
            found += page.get("data") or []
            following = page.get("next")
        return found


def flattened(configuration: Entity) -> list[tuple[str, Entity]]:
    """Each entity with the name of its collection, an id, and references as ids; in an order that can be created.

    Raises NotLoaded for a collection that is not known here, and for a reference to nothing.
    """
    unknown = [name for name in configuration if name not in KINDS and name not in OF_THE_FILE]
    if unknown:
        raise NotLoaded(f"{', '.join(unknown)}: not known here; load this file with decK")
    entities = sorted(_members(configuration, None), key=lambda found: list(KINDS).index(found[0]))
    ids = {(kind, entity.get(KINDS[kind].name)): entity["id"] for kind, entity in entities}
    ids |= {(kind, entity["id"]): entity["id"] for kind, entity in entities}
    for kind, entity in entities:
        for name, of in KINDS[kind].foreign.items():
            reference = entity.get(name)
            if reference is None:
                continue
            called = reference.get("id", reference.get("name")) if isinstance(reference, dict) else reference
            if (of, called) not in ids:
                raise NotLoaded(f"{kind}: {name} {called!r} is not in the file")
            entity[name] = {"id": ids[of, called]}
    return entities


def _members(holder: Entity, owner: tuple[str, str] | None) -> Iterator[tuple[str, Entity]]:
    """The entities in `holder` and inside of those; `owner`: the collection and id of `holder`."""
    for kind, about in KINDS.items():
        if not _is_collection(kind, holder.get(kind)):
            continue
        belongs = next((name for name, of in about.foreign.items() if owner and of == owner[0]), None)
        for member in holder[kind]:
            own = {name: value for name, value in member.items() if not _is_collection(name, value)}
            own.setdefault("id", str(uuid.uuid4()))
            if owner and belongs:
                own[belongs] = {"id": owner[1]}
            yield kind, own
            yield from _members(member, (kind, own["id"]))


def _is_collection(name: str, value: object) -> bool:
    return name in KINDS and isinstance(value, list) and all(isinstance(item, dict) for item in value)


def load(api: AdminApi, entities: list[tuple[str, Entity]]) -> None:
    """Create them all, or none. Raises NotLoaded."""
    for kind, entity in entities:
        _judge(api, kind, entity)
    api.call("POST", "services", {"name": MARKER, "host": "load-once.invalid", "enabled": False})
    try:
        switched_off = []
        for kind, entity in entities:
            made = {**entity, "tags": [*(entity.get("tags") or []), TAG]}
            if kind == "routes" and made.get("service") is None:
                raise NotLoaded(f"route {made.get('name')!r} has no service; load this file with decK")
            if kind == "services" and made.get("enabled", True):
                made["enabled"] = False
                switched_off.append(made["id"])
            if kind == "targets":
                api.call("POST", f"upstreams/{made['upstream']['id']}/targets", made)
            else:
                api.call("POST", KINDS[kind].path, made)
        for identifier in switched_off:
            api.call("PATCH", f"services/{identifier}", {"enabled": True})
    except NotLoaded:
        remove_unfinished(api)
        raise
    api.call("DELETE", f"services/{MARKER}")


def _judge(api: AdminApi, kind: str, entity: Entity) -> None:
    try:
        api.call("POST", f"schemas/{kind}/validate", entity)
    except NotLoaded as refusal:
        title = entity.get(KINDS[kind].name) if kind != "plugins" else entity.get("name")
        raise NotLoaded(f"{kind} {title!r}: {refusal}") from None


def remove_unfinished(api: AdminApi) -> None:
    """Take back what a load has made that did not come to its end; its marker last."""
    # The load may have ended between switching on and saying so.
    for service in api.all("services", tag=TAG):
        api.call("PATCH", f"services/{service['id']}", {"enabled": False})
    for kind in reversed(KINDS):
        if kind == "targets":
            continue  # gone with their upstream
        for entity in api.all(KINDS[kind].path, tag=TAG):
            api.call("DELETE", f"{KINDS[kind].path}/{entity['id']}")
    api.call("DELETE", f"services/{MARKER}")


def open_routes(api: AdminApi, entities: list[tuple[str, Entity]]) -> list[str]:
    """Routes that the file gives to the adapter, and the gateway to nobody: an older, unfinished load leaves such."""
    instances = [plugin for plugin in api.all("plugins") if plugin["name"] == ADAPTER]
    if any(not plugin.get("route") and not plugin.get("service") for plugin in instances):
        return []
    adapters = [plugin for kind, plugin in entities if kind == "plugins" and plugin.get("name") == ADAPTER]
    found = []
    for kind, route in entities:
        if kind != "routes" or not route.get("name"):
            continue
        wanted = any(
            plugin.get("route", {}).get("id") == route["id"]
            or (plugin.get("service") and plugin["service"] == route.get("service"))
            for plugin in adapters
        )
        there = api.call("GET", f"routes/{urllib.parse.quote(route['name'], safe='')}") if wanted else None
        covered = there and any(
            (plugin.get("route") or {}).get("id") == there["id"]
            or (plugin.get("service") and plugin["service"] == there.get("service"))
            for plugin in instances
        )
        if there and not covered:
            found.append(route["name"])
    return found


def run(path: str, api: AdminApi) -> str:
    """What `main` says when all is well. Raises NotLoaded and OSError."""
    try:
        configuration = YAML(typ="safe", pure=True).load(Path(path))
    except YAMLError as error:
        raise NotLoaded(f"not YAML: {error}") from None
    if not isinstance(configuration, dict):
        raise NotLoaded("not a declarative configuration")
    entities = flattened(configuration)
    unfinished = api.call("GET", f"services/{MARKER}") is not None
    if not unfinished and any(api.all(kind) for kind in ("services", "routes", "consumers", "plugins")):
        exposed = open_routes(api, entities)
        if exposed:
            raise NotLoaded(
                f"{api.url} has {', '.join(exposed)} without {ADAPTER}, as an unfinished load leaves it: open to "
                "everybody. Delete the route, or begin with an empty database"
            )
        return f"{api.url} has a configuration already: {path} is not loaded"
    if unfinished:
        remove_unfinished(api)
    load(api, entities)
    return f"{path} is loaded{' anew' if unfinished else ''}: {len(entities)} entities"


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print("usage: load_once.py KONG_YML ADMIN_URL", file=sys.stderr)
        return 2
    path, url = arguments
    try:
        print(run(path, AdminApi(url)))
    except (NotLoaded, OSError) as problem:
        print(f"{path} is not loaded: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
