"""kong.yml (or its JSON form) → Configuration, with Kong's checks, ids and error texts."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from kong_declarative import path_migration, yaml_document
from kong_declarative.configuration import Configuration, Tables
from kong_declarative.configuration_error import ConfigurationError, Path, leaves
from kong_declarative.core_schemas import Kind
from kong_declarative.entity_schemas import EntitySchemas
from kong_declarative.plugin_catalogue import PluginCatalogue
from kong_declarative.yaml_document import Document

__all__ = ["ConfigurationError", "declared_id", "faults", "load", "load_document", "load_file"]

# Kong's namespace for the ids of entities that a file declares without one.
_NAMESPACE = uuid.UUID("fd02801f-0957-4a15-a55a-c8d9606f30b5")


def load(
    text: str | bytes,
    catalogue: PluginCatalogue,
    *,
    source: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Configuration:
    """Read a declarative configuration.

    `source` is the file's name, for messages; `environ` is where {vault://env/…} looks (default: os.environ).
    Raises ConfigurationError.
    """
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    digest = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    document = yaml_document.parse(text, source)
    return load_document(document, catalogue, source=source, environ=environ, hash=digest)


def load_file(
    path: str, catalogue: PluginCatalogue, *, environ: Mapping[str, str] | None = None
) -> Configuration:
    """Read a declarative configuration from a file. Raises ConfigurationError, also when it cannot be read."""
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise ConfigurationError({"error": f"cannot be read: {error.strerror}"}, path) from None
    return load(text, catalogue, source=path, environ=environ)


def load_document(
    document: Document,
    catalogue: PluginCatalogue,
    *,
    source: str | None = None,
    environ: Mapping[str, str] | None = None,
    hash: str = "0" * 32,
) -> Configuration:
    """As `load`, for a text that has been read already."""
    if not isinstance(document.value, dict):
        raise ConfigurationError(
            {"error": "failed parsing declarative configuration: expected an object"}, source
        )
    schemas = catalogue.schemas
    declared = _completed(document.value, schemas)
    errors = schemas.file.validate(declared)
    if errors and list(_other_than_references(errors, declared, schemas)):
        raise ConfigurationError(errors, source, line_of=document.line_of, name_of=document.name_of)
    flattened = _Flattened(declared, schemas)
    if flattened.errors:
        raise ConfigurationError(
            flattened.errors, source, line_of=lambda path: document.line_of(flattened.place(path))
        )
    return Configuration(flattened.tables, catalogue, environ, hash=hash)


def faults(declared: Mapping[str, Any], catalogue: PluginCatalogue) -> list[tuple[Path, str]]:
    """What Kong would refuse in a declared configuration: the place of each fault, and Kong's text.

    References and uniqueness are looked at only when everything else is well, as Kong does.
    """
    schemas = catalogue.schemas
    completed = _completed(declared, schemas)
    errors = list(_other_than_references(schemas.file.validate(completed), completed, schemas))
    if errors:
        return errors
    flattened = _Flattened(completed, schemas)
    return [(flattened.place(path), text) for path, text in leaves(flattened.errors)]


def _other_than_references(
    errors: Mapping[str, Any], declared: Mapping[str, Any], schemas: EntitySchemas
) -> Iterator[tuple[Path, str]]:
    """The errors without those that Kong takes back: a nested entity that refers to a further one, which is there.

    Kong validates once more with references filled in, and takes the file if nothing else is wrong.
    """
    for path, text in leaves(errors):
        if text == "value must be null" and len(path) >= 3 and isinstance(path[-1], str):
            member = _at(declared, path[:-1])
            kind = schemas.kinds.get(str(path[-3]))
            reference = kind.foreign.get(path[-1]) if kind is not None else None
            if reference is not None and isinstance(member, dict) and kind is not None:
                subschema = schemas.of[kind.name].subschema(member)
                forbidden = subschema is not None and path[-1] in subschema.fields
                if not forbidden and _exists(declared, schemas, reference, member[path[-1]]):
                    continue
        yield path, text


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _exists(holder: Mapping[str, Any], schemas: EntitySchemas, kind: str, key: Any) -> bool:
    """Whether there is an entity of a kind with this name or id, anywhere below `holder`."""
    endpoint_key = schemas.kinds[kind].endpoint_key or "id"
    for name in schemas.kinds:
        for member in _members(holder, name):
            if name == kind and key in (member.get(endpoint_key), member.get("id")):
                return True
            if _exists(member, schemas, kind, key):
                return True
    return False


def _completed(declared: Mapping[str, Any], schemas: EntitySchemas) -> dict[str, Any]:
    """A copy with ids, defaults and the paths of older formats filled in."""
    copy: dict[str, Any] = _unshared(declared)
    path_migration.migrate(copy)
    for kind in schemas.kinds:
        _give_ids(copy, kind, schemas)
    return schemas.file.complete(copy)


def declared_id(kind: str, key: str) -> str:
    """The id that Kong gives an entity of a file: the same for the same name."""
    return str(uuid.uuid5(uuid.uuid5(_NAMESPACE, kind), key))


def _unshared(value: Any) -> Any:
    """A copy in which nothing is there twice: YAML's aliases become things of their own."""
    if isinstance(value, dict):
        return {key: _unshared(member) for key, member in value.items()}
    return [_unshared(member) for member in value] if isinstance(value, list) else value


def _members(holder: Mapping[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    members = holder.get(kind)
    for member in members if isinstance(members, list) else ():
        if isinstance(member, dict):
            yield member


def _give_ids(
    holder: dict[str, Any], kind: str, schemas: EntitySchemas, owner: tuple[str, str] | None = None
) -> None:
    """Ids for the entities of one kind in `holder` and for all inside them; `owner`: a field, and the id it gets."""
    for member in _members(holder, kind):
        if "id" not in member:
            key = _key_of(schemas.kinds[kind], member, owner)
            if key is not None:
                member["id"] = declared_id(kind, key)
        names = (member.get("id"), member.get(schemas.kinds[kind].endpoint_key or ""))
        for child, field in schemas.children(kind):
            for inner in _members(member, child):
                # Saying again what the place says already does no harm.
                if inner.get(field) is not None and inner[field] in (*names, {"id": names[0]}):
                    del inner[field]
            if isinstance(member.get("id"), str):
                _give_ids(member, child, schemas, (field, member["id"]))


def _key_of(kind: Kind, member: Mapping[str, Any], owner: tuple[str, str] | None) -> str | None:
    """What the id is made of; None when nothing tells the entity from others, and its id is random."""
    if not kind.cache_key:
        key = member.get(kind.endpoint_key or "")
        return key if isinstance(key, str) else None
    parts = [kind.name, "*"]
    fields = {name: field for entry in kind.definition["fields"] for name, field in entry.items()}
    for name in kind.cache_key:
        value = member.get(name)
        if fields[name].get("auto"):
            return None
        if isinstance(value, str):
            parts.append(value)
        elif name in member:
            continue
        elif owner is not None and name == owner[0]:
            parts.append(owner[1])
        elif fields[name].get("required"):
            return None
        else:
            parts.append("")
    return ":".join(parts)


class _Flattened:
    """Checked entities as tables: taken out of one another, references resolved; `errors` when that fails."""

    def __init__(self, declared: Mapping[str, Any], schemas: EntitySchemas) -> None:
        self._schemas = schemas
        self._errors: dict[Any, Any] = {}
        self._by_id: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in schemas.kinds}
        self._by_key: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in schemas.kinds}
        self._places: dict[tuple[str, str], Path] = {}
        self._repeated: dict[tuple[str, ...], Path] = {}
        for kind in schemas.kinds:
            self._collect(declared, kind, ())
        self._resolve()
        if not self._errors:
            self._check_unique_fields()
        self.errors: dict[str, Any] = _listed(self._errors)
        self.tables: Tables = {kind: self._table(kind) for kind in schemas.kinds}

    def place(self, path: Path) -> Path:
        """Where in the file an error stands that names its entity by name or id."""
        repeated = self._repeated.get(tuple(map(str, path)))
        if repeated is not None:
            return repeated
        if len(path) > 1 and (str(path[0]), str(path[1])) in self._places:
            return self._places[str(path[0]), str(path[1])]
        return path

    def _collect(
        self, holder: Mapping[str, Any], kind: str, path: Path, owner: tuple[str, str] | None = None
    ) -> None:
        for index, member in enumerate(holder.get(kind) or ()):
            place = (*path, kind, index)
            for child, field in self._schemas.children(kind):
                self._collect(member, child, place, (field, member["id"]))
            if owner is not None:
                member[owner[0]] = {"id": owner[1]}
            self._add(kind, member, place)

    def _add(self, kind: str, member: dict[str, Any], place: Path) -> None:
        endpoint_key = self._schemas.kinds[kind].endpoint_key
        key = member.get(endpoint_key) if endpoint_key else None
        index = place[-1]
        self._places[kind, str(key or member["id"])] = place
        self._places.setdefault((kind, str(index)), place)
        if key is not None:
            if key in self._by_key[kind]:
                self._put((kind, index), _taken(kind, str(endpoint_key), key))
                self._by_id[kind].setdefault(member["id"], member)
                return
            self._by_key[kind][key] = member
        if member["id"] in self._by_id[kind]:
            # Kong tells the parent and the place in it, but of the parent only its place in its own list.
            told = (*place[-4:-2], kind, index)
            self._put(told, _taken(kind, "primary key", member["id"]))
            self._repeated[tuple(map(str, told))] = place
        else:
            self._by_id[kind][member["id"]] = member

    def _resolve(self) -> None:
        for kind, table in self._by_id.items():
            for member in table.values():
                for field, reference in self._schemas.kinds[kind].foreign.items():
                    value = member.get(field)
                    if value is None:
                        continue
                    key = value["id"] if isinstance(value, dict) else value
                    found = self._by_key[reference].get(key) or self._by_id[reference].get(key)
                    if found is not None:
                        member[field] = {"id": found["id"]}
                        continue
                    endpoint_key = self._schemas.kinds[kind].endpoint_key
                    at = (member.get(endpoint_key) if endpoint_key else None) or member["id"]
                    written = key if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
                    text = f"invalid reference '{field}: {written}' (no such entry in '{reference}')"
                    self._errors.setdefault(kind, {}).setdefault(at, []).append(text)

    def _check_unique_fields(self) -> None:
        for kind, table in self._by_id.items():
            endpoint_key = self._schemas.kinds[kind].endpoint_key
            for name, field in self._schemas.of[kind].fields.items():
                if not field.unique or name == endpoint_key:
                    continue
                seen: set[Any] = set()
                for member in table.values():
                    value = member.get(name)
                    if value is not None and value in seen:
                        at = (member.get(endpoint_key) if endpoint_key else None) or member["id"]
                        self._put((kind, at), _taken(kind, name, value))
                    seen.add(value)

    def _put(self, path: Path, text: str) -> None:
        tree = self._errors
        for part in path[:-1]:
            tree = tree.setdefault(part, {})
        tree[path[-1]] = text

    def _table(self, kind: str) -> dict[str, dict[str, Any]]:
        fields = self._schemas.of[kind].fields
        return {key: {name: member.get(name) for name in fields} for key, member in self._by_id[kind].items()}


def _taken(kind: str, field: str, value: Any) -> str:
    return f"uniqueness violation: '{kind}' entity with {field} set to '{value}' already declared"


def _listed(tree: Any) -> Any:
    """Objects whose keys are all places in a list as lists, null where there is no error."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(isinstance(key, int) for key in tree):
        return [_listed(tree.get(index)) for index in range(max(tree) + 1)]
    return {str(key): _listed(member) for key, member in tree.items()}
