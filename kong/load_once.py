"""Load a declarative configuration into a Kong with a database, through its Admin API, if it has none yet.

    load_once.py kong.yml http://127.0.0.1:8001

Once, because from then on the database is the truth: whoever switches a consumer off through the Admin API does not
want it on again after a restart. For more than a first start there is decK. (Kong's own `kong config db_import` would
do, but Kong 3.9 cannot run it with a plugin server: "attempt to index upvalue 'kong'".)
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

Entity = dict[str, Any]

# Collection of the file → (path of the Admin API, the field by which another entity calls it), in the order in which
# entities may refer to each other.
COLLECTIONS = {
    "vaults": ("vaults", "prefix"),
    "ca_certificates": ("ca_certificates", "id"),
    "certificates": ("certificates", "id"),
    "upstreams": ("upstreams", "name"),
    "targets": ("targets", "target"),
    "services": ("services", "name"),
    "routes": ("routes", "name"),
    "consumers": ("consumers", "username"),
    "keyauth_credentials": ("key-auth", "key"),
    "basicauth_credentials": ("basic-auth", "username"),
    "hmacauth_credentials": ("hmac-auth", "username"),
    "jwt_secrets": ("jwt", "key"),
    "acls": ("acls", "group"),
    "plugins": ("plugins", "id"),
}
OF_THE_FILE = ("_format_version", "_transform", "_comment", "_ignore", "_info")
REFERENCES = {"service": "services", "route": "routes", "consumer": "consumers"}


class NotLoaded(Exception):
    """The configuration could not be loaded; the message says what to do."""


class AdminApi:
    """Kong's Admin API at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def call(self, method: str, path: str, body: Entity | None = None) -> Entity:
        """Returns the answer's JSON. Raises NotLoaded with Kong's words."""
        request = urllib.request.Request(f"{self._url}/{path}", method=method)
        request.add_header("Content-Type", "application/json")
        content = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, content, timeout=30) as answer:
                found: Entity = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            raise NotLoaded(
                f"{method} /{path}: {error.code} {error.read().decode(errors='replace')}"
            ) from None
        except OSError as error:
            raise NotLoaded(f"{method} /{path}: {error}") from None


class Loader:
    """Creates the entities of a configuration. Plugins come last: they may refer to everything else."""

    def __init__(self, api: AdminApi) -> None:
        self._api = api
        self._plugins: list[tuple[Entity, Entity]] = []
        self.created = 0

    def load(self, configuration: Entity) -> None:
        self._load(configuration, owner="", known=OF_THE_FILE)
        for plugin, owner in self._plugins:
            body = {**plugin, **owner}
            for field, collection in REFERENCES.items():
                if isinstance(body.get(field), str):
                    body[field] = {"id": self._id(collection, body[field])}
            self._create("plugins", body)

    def _load(self, parent: Entity, owner: str, known: tuple[str, ...] = ()) -> None:
        for name in [name for name in COLLECTIONS if isinstance(parent.get(name), list)]:
            for entity in parent[name]:
                self._load_entity(name, entity, owner)
        unknown = [name for name in parent if name not in COLLECTIONS and name not in known]
        if known and unknown:
            raise NotLoaded(f"{', '.join(unknown)}: not known here; load this file with decK")

    def _load_entity(self, collection: str, entity: Entity, owner: str) -> None:
        own = {name: value for name, value in entity.items() if not _is_collection(name, value)}
        if collection == "plugins":
            reference = {owner.split("/")[0][:-1]: {"id": owner.split("/")[1]}} if owner else {}
            self._plugins.append((own, reference))
            return
        path, _ = COLLECTIONS[collection]
        if isinstance(own.get("service"), str):
            own["service"] = {"id": self._id("services", own["service"])}
        created = self._create(f"{owner}/{path}" if owner else path, own)
        self._load(entity, owner=f"{path}/{created['id']}")

    def _create(self, path: str, body: Entity) -> Entity:
        self.created += 1
        return self._api.call("POST", path, body)

    def _id(self, collection: str, name: str) -> str:
        identifier: str = self._api.call("GET", f"{collection}/{urllib.parse.quote(name, safe='')}")["id"]
        return identifier


def _is_collection(name: str, value: object) -> bool:
    return name in COLLECTIONS and isinstance(value, list) and all(isinstance(item, dict) for item in value)


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print("usage: load_once.py KONG_YML ADMIN_URL", file=sys.stderr)
        return 2
    path, url = arguments
    api = AdminApi(url)
    try:
        if api.call("GET", "services")["data"] or api.call("GET", "consumers")["data"]:
            print(f"{url} has a configuration already: {path} is not loaded")
            return 0
        loader = Loader(api)
        loader.load(YAML(typ="safe", pure=True).load(Path(path)))
    except (NotLoaded, OSError) as problem:
        print(f"{path} is not loaded: {problem}", file=sys.stderr)
        return 1
    print(f"{path} is loaded: {loader.created} entities")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
