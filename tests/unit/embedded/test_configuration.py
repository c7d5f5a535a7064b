"""A snapshot: who is found by what, and which plugin instance a request gets."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from kong_declarative import declarative
from kong_declarative.configuration import Configuration, Store
from kong_declarative.plugin_catalogue import PluginCatalogue


def load(catalogue: PluginCatalogue, **declared: Any) -> Configuration:
    return declarative.load(
        json.dumps({"_format_version": "3.0", **declared}), catalogue, environ={"SECRET": "from-env"}
    )


@pytest.fixture(scope="module")
def configuration(catalogue: PluginCatalogue) -> Configuration:
    """An instance for every scope there is, each with the scope as its label."""
    scopes = [
        {name: name[0] for name in names}
        for length in range(4)
        for names in itertools.combinations(("route", "service", "consumer"), length)
    ]
    return load(
        catalogue,
        services=[{"name": "s", "url": "http://h"}],
        routes=[{"name": "r", "paths": ["/"], "service": "s"}],
        consumers=[
            {
                "username": "c",
                "custom_id": "PBX-7",
                "keyauth_credentials": [{"key": "k"}],
                "acls": [{"group": "g"}, {"group": "h"}],
            }
        ],
        plugins=[
            {"name": "pbx", **scope, "config": {"label": "+".join(scope) or "global"}} for scope in scopes
        ]
        + [{"name": "key-auth", "route": "r"}],
    )


class TestConsumers:
    def test_they_are_found_by_id_and_when_asked_by_username(self, configuration: Configuration) -> None:
        consumer = configuration.consumer("c", search_by_username=True)

        assert consumer is not None
        assert configuration.consumer(consumer.id) is consumer
        assert configuration.consumer("c") is None
        assert configuration.consumer("nobody", search_by_username=True) is None
        assert configuration.consumer_by_custom_id("PBX-7") is consumer
        assert consumer.groups == ("g", "h")

    def test_a_key_leads_to_its_consumer(self, configuration: Configuration) -> None:
        credential = configuration.key_auth_credential("k")

        assert credential is not None
        assert configuration.consumer(credential.consumer_id) is not None
        assert credential.as_dict()["consumer"] == {"id": credential.consumer_id}
        assert configuration.key_auth_credential("other") is None

    def test_the_pdk_sees_no_nulls(self, configuration: Configuration) -> None:
        [consumer] = configuration.consumers.values()

        assert set(consumer.as_dict()) == {"id", "username", "custom_id", "created_at", "updated_at"}


class TestPluginInstances:
    def test_the_most_specific_scope_wins(
        self, configuration: Configuration, catalogue: PluginCatalogue
    ) -> None:
        """Kong's order, with the winner taken away each time."""
        [service], [route], [consumer] = configuration.services, configuration.routes, configuration.consumers
        order: list[str] = []
        tables = {kind: dict(table) for kind, table in configuration.tables.items()}
        while True:
            instance = Configuration(tables, catalogue, {}).plugin_instance("pbx", route, service, consumer)
            if instance is None:
                break
            order.append(instance.config["label"])
            del tables["plugins"][instance.id]

        assert order == [
            "route+service+consumer",
            "route+consumer",
            "service+consumer",
            "route+service",
            "consumer",
            "route",
            "service",
            "global",
        ]

    def test_a_request_without_a_consumer_gets_none_of_a_consumer(self, configuration: Configuration) -> None:
        [service], [route] = configuration.services, configuration.routes
        instance = configuration.plugin_instance("pbx", route, service, None)

        assert instance is not None
        assert instance.config["label"] == "route+service"

    def test_a_disabled_instance_does_not_exist(self, catalogue: PluginCatalogue) -> None:
        configuration = load(
            catalogue,
            routes=[
                {"name": "r", "paths": ["/"], "plugins": [{"name": "pbx", "config": {"label": "route"}}]}
            ],
            consumers=[{"username": "c", "plugins": [{"name": "pbx", "enabled": False}]}],
        )
        [route], [consumer] = configuration.routes, configuration.consumers
        instance = configuration.plugin_instance("pbx", route, None, consumer)

        assert instance is not None
        assert instance.config["label"] == "route"
        assert len(configuration.plugins) == 2

    def test_plugins_that_establish_consumers_have_no_instance_of_one(
        self, catalogue: PluginCatalogue
    ) -> None:
        configuration = load(catalogue, consumers=[{"username": "c", "plugins": [{"name": "key-auth"}]}])
        [consumer] = configuration.consumers

        assert configuration.plugin_instance("key-auth", None, None, consumer) is None

    def test_start_instance_gets_kongs_bookkeeping_beside_the_configuration(
        self, catalogue: PluginCatalogue
    ) -> None:
        configuration = load(
            catalogue,
            consumers=[
                {
                    "username": "c",
                    "plugins": [{"name": "pbx", "config": {"password": "{vault://env/secret}"}}],
                }
            ],
        )
        [plugin], [consumer] = configuration.plugins, configuration.consumers

        assert plugin.server_config(seq=7) == {
            "__plugin_id": plugin.id,
            "__ws_id": "0dc6f45b-8f8d-40d2-a504-473544ee190b",
            "__key__": f"plugins:pbx:::{consumer}::0dc6f45b-8f8d-40d2-a504-473544ee190b",
            "__seq__": 7,
            "consumer_id": consumer,
            "label": "none",
            "limits": {},
            "password": "from-env",
            "$refs": {"password": "{vault://env/secret}"},
        }

    def test_every_snapshot_numbers_its_instances_anew(self, catalogue: PluginCatalogue) -> None:
        declared = {"plugins": [{"name": "pbx"}, {"name": "prometheus"}]}
        numbers = [plugin.seq for _ in range(2) for plugin in load(catalogue, **declared).plugins]

        assert len(set(numbers)) == 4


def test_a_store_tells_its_subscribers_of_every_change(catalogue: PluginCatalogue) -> None:
    first, second, third = (load(catalogue) for _ in range(3))
    store = Store(first, catalogue)
    told: list[Configuration] = []
    stop = store.subscribe(told.append)

    store.replace(second)
    stop()
    store.replace(third)

    assert told == [second]
    assert store.current is third
