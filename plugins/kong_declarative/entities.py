"""The things that a Kong configuration declares, as immutable values.

Times are Unix seconds, time-outs milliseconds, ids lower-case UUIDs. `as_dict` gives an entity as Kong's PDK hands
it to a plugin: fields that are null are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Kong's id for the one workspace of a gateway without a database.
WORKSPACE_ID = "0dc6f45b-8f8d-40d2-a504-473544ee190b"

# A completed entity: every field of its kind, nulls included.
Entity = Mapping[str, Any]


@dataclass(frozen=True)
class Service:
    """An upstream: where a route's requests go."""

    id: str
    name: str | None
    protocol: str
    host: str
    port: int
    path: str | None = None
    retries: int = 5
    connect_timeout: int = 60_000
    write_timeout: int = 60_000
    read_timeout: int = 60_000
    tls_verify: bool | None = None
    enabled: bool = True
    tags: tuple[str, ...] | None = None
    created_at: int = 0
    updated_at: int = 0
    entity: Entity = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, entity: Entity) -> Service:
        names = (
            "id name protocol host port path retries connect_timeout write_timeout read_timeout tls_verify enabled "
            "created_at updated_at"
        )
        return cls(**_picked(entity, names), tags=_several(entity, "tags"), entity=entity)

    def as_dict(self) -> dict[str, Any]:
        """As `kong.router.get_service` returns it."""
        return {**_without_nulls(self.entity), "ws_id": WORKSPACE_ID}


@dataclass(frozen=True)
class Route:
    """Which requests belong to a service."""

    id: str
    name: str | None
    service_id: str | None
    protocols: tuple[str, ...] = ("http", "https")
    methods: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None
    headers: Mapping[str, tuple[str, ...]] | None = None
    https_redirect_status_code: int = 426
    regex_priority: int = 0
    strip_path: bool = True
    path_handling: str = "v0"
    preserve_host: bool = False
    request_buffering: bool = True
    response_buffering: bool = True
    tags: tuple[str, ...] | None = None
    created_at: int = 0
    updated_at: int = 0
    entity: Entity = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, entity: Entity) -> Route:
        names = (
            "id name https_redirect_status_code regex_priority strip_path path_handling preserve_host "
            "request_buffering response_buffering created_at updated_at"
        )
        headers = entity.get("headers")
        return cls(
            **_picked(entity, names),
            service_id=_reference(entity, "service"),
            protocols=_several(entity, "protocols") or (),
            methods=_several(entity, "methods"),
            hosts=_several(entity, "hosts"),
            paths=_several(entity, "paths"),
            headers=None if headers is None else {name: tuple(values) for name, values in headers.items()},
            tags=_several(entity, "tags"),
            entity=entity,
        )

    def as_dict(self) -> dict[str, Any]:
        """As `kong.router.get_route` returns it."""
        return {**_without_nulls(self.entity), "ws_id": WORKSPACE_ID}


@dataclass(frozen=True)
class Consumer:
    """Who calls."""

    id: str
    username: str | None
    custom_id: str | None = None
    tags: tuple[str, ...] | None = None
    created_at: int = 0
    updated_at: int = 0
    groups: tuple[str, ...] = ()  # of its `acls`, in order of declaration
    entity: Entity = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, entity: Entity, groups: tuple[str, ...] = ()) -> Consumer:
        names = "id username custom_id created_at updated_at"
        return cls(**_picked(entity, names), tags=_several(entity, "tags"), groups=groups, entity=entity)

    def as_dict(self) -> dict[str, Any]:
        """As `kong.client.load_consumer` and `kong.client.get_consumer` return it."""
        return _without_nulls(self.entity)


@dataclass(frozen=True)
class KeyAuthCredential:
    """A key of key-auth, and the consumer that it stands for."""

    id: str
    key: str
    consumer_id: str
    tags: tuple[str, ...] | None = None
    created_at: int = 0
    entity: Entity = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, entity: Entity) -> KeyAuthCredential:
        return cls(
            **_picked(entity, "id key created_at"),
            consumer_id=entity["consumer"]["id"],
            tags=_several(entity, "tags"),
            entity=entity,
        )

    def as_dict(self) -> dict[str, Any]:
        """As `kong.client.get_credential` returns it after key-auth."""
        return _without_nulls(self.entity)


@dataclass(frozen=True)
class PluginInstance:
    """One configuration of one plugin for the requests of its scope; without any of the three ids: for all."""

    id: str
    name: str
    config: Mapping[str, Any]  # completed, without nulls, vault references resolved, `$refs` beside them
    enabled: bool = True
    route_id: str | None = None
    service_id: str | None = None
    consumer_id: str | None = None
    instance_name: str | None = None
    protocols: tuple[str, ...] = ("grpc", "grpcs", "http", "https")
    tags: tuple[str, ...] | None = None
    created_at: int = 0
    updated_at: int = 0
    seq: int = 0  # `__seq__`: two instances of one process never share it, and a new snapshot has new ones
    entity: Entity = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, entity: Entity, config: Mapping[str, Any], seq: int) -> PluginInstance:
        return cls(
            **_picked(entity, "id name enabled instance_name created_at updated_at"),
            config=config,
            route_id=_reference(entity, "route"),
            service_id=_reference(entity, "service"),
            consumer_id=_reference(entity, "consumer"),
            protocols=_several(entity, "protocols") or (),
            tags=_several(entity, "tags"),
            seq=seq,
            entity=entity,
        )

    @property
    def key(self) -> str:
        """Kong's `__key__`: the plugin's name and scope."""
        scope = (self.route_id, self.service_id, self.consumer_id, None)
        return ":".join(("plugins", self.name, *(part or "" for part in scope), WORKSPACE_ID))

    def server_config(self, seq: int | None = None) -> dict[str, Any]:
        """The configuration as StartInstance carries it: `config` with Kong's bookkeeping keys beside it.

        `seq` stands in for the instance's own, for a worker that counts for itself.
        """
        bookkeeping = {
            "__plugin_id": self.id,
            "__ws_id": WORKSPACE_ID,
            "__key__": self.key,
            "route_id": self.route_id,
            "service_id": self.service_id,
            "consumer_id": self.consumer_id,
            "plugin_instance_name": self.instance_name,
            "__seq__": self.seq if seq is None else seq,
        }
        return {**_without_nulls(bookkeeping), **self.config}


def _picked(entity: Entity, names: str) -> dict[str, Any]:
    return {name: entity.get(name) for name in names.split()}


def _several(entity: Entity, name: str) -> tuple[Any, ...] | None:
    values = entity.get(name)
    return None if values is None else tuple(values)


def _reference(entity: Entity, name: str) -> str | None:
    reference = entity.get(name)
    return None if reference is None else reference["id"]


def _without_nulls(entity: Entity) -> dict[str, Any]:
    return {name: value for name, value in entity.items() if value is not None}
