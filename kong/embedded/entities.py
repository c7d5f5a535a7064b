"""The things a Kong configuration declares, as immutable values.

Times are Unix seconds, time-outs milliseconds, ids lower-case UUID strings. `as_dict` gives an entity as Kong's PDK
hands it to a plugin: absent (null) fields are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Kong's id for the one workspace of a gateway without a database.
WORKSPACE_ID = "0dc6f45b-8f8d-40d2-a504-473544ee190b"

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
    enabled: bool = True
    tags: tuple[str, ...] | None = None
    created_at: int = 0
    updated_at: int = 0
    fields: Entity = field(default_factory=dict, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """As `kong.router.get_service` returns it."""
        raise NotImplementedError


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
    fields: Entity = field(default_factory=dict, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """As `kong.router.get_route` returns it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Consumer:
    """Who calls."""

    id: str
    username: str | None
    custom_id: str | None = None
    tags: tuple[str, ...] | None = None
    created_at: int = 0
    updated_at: int = 0
    groups: frozenset[str] = frozenset()  # names of its `acls`

    def as_dict(self) -> dict[str, Any]:
        """As `kong.client.load_consumer` and `get_consumer` return it."""
        raise NotImplementedError


@dataclass(frozen=True)
class KeyAuthCredential:
    """A key of key-auth and the consumer it stands for."""

    id: str
    key: str
    consumer_id: str
    tags: tuple[str, ...] | None = None
    created_at: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As `kong.client.get_credential` returns it."""
        raise NotImplementedError


@dataclass(frozen=True)
class PluginInstance:
    """One configuration of one plugin, for the requests of its scope (none of the three ids: for all)."""

    id: str
    name: str
    config: Mapping[
        str, Any
    ]  # completed with defaults, nulls removed, vault references resolved (`$refs` beside them)
    enabled: bool
    route_id: str | None = None
    service_id: str | None = None
    consumer_id: str | None = None
    instance_name: str | None = None
    protocols: tuple[str, ...] = ("grpc", "grpcs", "http", "https")
    seq: int = 0  # `__seq__`: never the same for two instances of one process, new with every snapshot

    def server_config(self, seq: int | None = None) -> dict[str, Any]:
        """The configuration as StartInstance carries it: `config` with Kong's bookkeeping keys beside it.

        `seq` stands in for the instance's own, for a worker that counts for itself.
        """
        raise NotImplementedError
