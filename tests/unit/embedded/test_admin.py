"""The Admin API: what it answers, and the configuration that is left behind."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient, TestServer
from kong_declarative.configuration import Configuration, Store
from kong_declarative.plugin_catalogue import PluginCatalogue

from kong.embedded.admin import create_admin

KONG_YML = """\
_format_version: "3.0"
consumers:
- username: acme
  plugins: [{name: pbx, config: {label: acme}}]
services:
- name: futuresms
  url: http://127.0.0.1:8080
  routes:
  - {name: yeastar, paths: [/a], plugins: [{name: pbx, config: {limits: {second: 5, minute: 60}}}]}
"""


@dataclass(frozen=True)
class Answer:
    status: int
    json: Any
    headers: Any


class Admin:
    """The API over HTTP, one request at a time."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __call__(self, method: str, path: str, **options: Any) -> Answer:
        async def send() -> Answer:
            async with (
                TestClient(TestServer(create_admin(self.store))) as client,
                client.request(method, path, **options) as response,
            ):
                text = await response.text()
                return Answer(response.status, json.loads(text) if text else None, response.headers)

        return asyncio.run(send())

    def load(self, text: str = KONG_YML) -> None:
        assert self("POST", "/config", json={"config": text}).status == 201

    def plugin(self, label: str) -> dict[str, Any]:
        return next(
            plugin for plugin in self("GET", "/plugins").json["data"] if plugin["config"]["label"] == label
        )


@pytest.fixture
def admin(catalogue: PluginCatalogue) -> Admin:
    return Admin(Store(Configuration({}, catalogue, {}), catalogue, {}))


class TestConfig:
    @pytest.mark.parametrize(
        "options",
        [
            {"json": {"config": KONG_YML}},
            {"data": KONG_YML, "headers": {"Content-Type": "text/yaml"}},
            {"data": KONG_YML, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
            {"data": {"config": KONG_YML}},
            {"data": FormData({"config": KONG_YML}, default_to_multipart=True)},
            {"json": {"_format_version": "3.0", "services": [{"name": "futuresms", "host": "h"}]}},
        ],
        ids=["json", "yaml", "curl --data-binary", "form", "multipart", "object"],
    )
    def test_it_takes_a_configuration_in_every_form_that_kong_takes(
        self, admin: Admin, options: dict[str, Any]
    ) -> None:
        answer = admin("POST", "/config", **options)

        assert answer.status == 201
        [service] = answer.json["services"].values()
        assert service["name"] == "futuresms"
        assert service["path"] is None
        assert [found.name for found in admin.store.current.services.values()] == ["futuresms"]

    def test_a_bad_one_is_refused_and_the_present_one_stays(self, admin: Admin) -> None:
        admin.load()
        present = admin.store.current
        answer = admin("POST", "/config", json={"config": KONG_YML.replace("second: 5", "second: 0")})

        assert answer.status == 400
        assert answer.json == {
            "code": 14,
            "name": "invalid declarative configuration",
            "message": "declarative config is invalid: "
            '{services={{routes={{plugins={{config={limits={second="value must be greater than 0"}}}}}}}}}',
            "fields": {
                "services": [
                    {
                        "routes": [
                            {"plugins": [{"config": {"limits": {"second": "value must be greater than 0"}}}]}
                        ]
                    }
                ]
            },
        }
        assert admin.store.current is present

    def test_a_text_that_is_no_yaml_is_refused(self, admin: Admin) -> None:
        answer = admin("POST", "/config", json={"config": "a: [1\nb: 2"})

        assert answer.status == 400
        assert answer.json["fields"]["error"].startswith("failed parsing declarative configuration: 2:2: ")

    def test_errors_can_be_had_by_entity(self, admin: Admin) -> None:
        answer = admin(
            "POST", "/config?flatten_errors=1", json={"config": KONG_YML.replace("[/a]", "[a]") + "x: 1\n"}
        )

        assert answer.json["fields"] == {"x": "unknown field"}
        [flattened] = answer.json["flattened_errors"]
        assert (flattened["entity_type"], flattened["entity_name"]) == ("route", "yeastar")
        assert flattened["errors"] == [
            {
                "type": "field",
                "field": "paths.1",
                "message": "should start with: / (fixed path) or ~/ (regex path)",
            }
        ]

    def test_the_same_text_can_be_left_alone(self, admin: Admin) -> None:
        admin.load()
        present = admin.store.current

        assert admin("POST", "/config?check_hash=1", json={"config": KONG_YML}).status == 304
        assert admin.store.current is present
        assert admin("GET", "/status").json["configuration_hash"] == present.hash

    def test_what_it_exports_it_takes_again(self, admin: Admin) -> None:
        admin.load()
        before = admin.store.current
        admin.load(admin("GET", "/config").json["config"])
        after = admin.store.current

        assert after is not before
        assert after.routes == before.routes
        assert [(plugin.key, plugin.config) for plugin in after.plugins] == [
            (plugin.key, plugin.config) for plugin in before.plugins
        ]

    def test_nothing_and_what_is_no_configuration(self, admin: Admin) -> None:
        nothing = admin("POST", "/config", skip_auto_headers=["Content-Type"])

        assert nothing.json == {"message": "expected a declarative configuration"}
        assert admin("POST", "/config", data="x", headers={"Content-Type": "image/png"}).status == 415
        assert admin("POST", "/config", json={"config": ""}).status == 400


class TestReading:
    def test_collections_come_in_pages(self, admin: Admin) -> None:
        admin.load('_format_version: "3.0"\nconsumers: [{username: a}, {username: b}, {username: c}]\n')
        first = admin("GET", "/consumers?size=2").json
        second = admin("GET", f"/consumers?size=2&offset={first['offset']}").json

        assert [entity["username"] for entity in first["data"] + second["data"]] == ["a", "b", "c"]
        assert first["next"] == f"/consumers?offset={first['offset']}"
        assert second["next"] is None
        assert "offset" not in second

    def test_an_entity_is_found_by_id_and_by_name(self, admin: Admin) -> None:
        admin.load()
        route = admin("GET", "/routes/yeastar").json

        assert route["paths"] == ["/a"]
        assert route["methods"] is None
        assert admin("GET", f"/routes/{route['id']}").json == route
        assert admin("GET", "/routes/yeastar/service").json["name"] == "futuresms"
        assert [found["id"] for found in admin("GET", "/services/futuresms/routes").json["data"]] == [
            route["id"]
        ]

    def test_what_is_not_there_is_404(self, admin: Admin) -> None:
        for path in ("/consumers/nobody", "/nothing", "/consumers/nobody/plugins", "/consumers/a/b/c/d"):
            answer = admin("GET", path)
            assert (answer.status, answer.json) == (404, {"message": "Not found"})

    def test_consumers_by_custom_id_and_entities_by_tag(self, admin: Admin) -> None:
        admin.load(
            '_format_version: "3.0"\nconsumers: [{custom_id: x, tags: [p, q]}, {custom_id: y, tags: [q]}]\n'
        )

        assert [c["custom_id"] for c in admin("GET", "/consumers?custom_id=y").json["data"]] == ["y"]
        assert [c["custom_id"] for c in admin("GET", "/consumers?tags=p,q").json["data"]] == ["x"]
        assert len(admin("GET", "/consumers?tags=p/q").json["data"]) == 2

    def test_the_root_says_which_gateway_it_is(self, admin: Admin) -> None:
        answer = admin("GET", "/")

        assert answer.json["version"] == "3.9.1"
        assert "embedded" in answer.json["tagline"]
        assert answer.json["plugins"]["available_on_server"]["pbx"] == {"version": "0.1.0", "priority": 1000}
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


class TestChanging:
    def test_a_consumer_is_switched_off_and_on_again(self, admin: Admin) -> None:
        admin.load()
        plugin = admin.plugin("acme")
        [route], [consumer] = admin.store.current.routes, admin.store.current.consumers

        def label() -> str:
            instance = admin.store.current.plugin_instance("pbx", route, None, consumer)
            assert instance is not None
            return str(instance.config["label"])

        assert label() == "acme"
        assert admin("PATCH", f"/plugins/{plugin['id']}", json={"enabled": False}).json["enabled"] is False
        assert label() == "none"
        assert admin("PATCH", f"/consumers/acme/plugins/{plugin['id']}", json={"enabled": True}).status == 200
        assert label() == "acme"

    def test_a_patch_changes_members_of_records_and_null_unsets_them(self, admin: Admin) -> None:
        admin.load()
        path = f"/plugins/{admin.plugin('none')['id']}"
        answer = admin("PATCH", path, json={"config": {"limits": {"second": 9, "minute": None}}})

        assert answer.status == 200
        assert answer.json["config"] == {
            "label": "none",
            "password": None,
            "limits": {"second": 9, "minute": None},
        }
        instance = next(found for found in admin.store.current.plugins if found.id == answer.json["id"])
        assert instance.config == {"label": "none", "limits": {"second": 9}}

    def test_forms_are_read_by_the_schema(self, admin: Admin) -> None:
        admin.load()
        path = f"/plugins/{admin.plugin('none')['id']}"

        assert admin("PATCH", path, data={"config.limits.second": "2.5", "enabled": "false"}).status == 200
        answer = admin("POST", "/services/futuresms/routes", data={"paths[]": "/b", "methods": "GET"})
        assert (answer.json["paths"], answer.json["methods"]) == (["/b"], ["GET"])
        assert admin.plugin("none")["config"]["limits"]["second"] == 2.5

    def test_entities_are_created_below_others_and_replaced_by_name(self, admin: Admin) -> None:
        created = admin("PUT", "/services/s", json={"url": "http://127.0.0.1:1"})
        replaced = admin("PUT", "/services/s", json={"host": "h", "retries": 0})

        assert created.json["id"] == replaced.json["id"]
        assert (replaced.json["port"], replaced.json["retries"]) == (80, 0)
        assert admin("PUT", "/services/s/routes/r", json={"paths": ["/"]}).json["service"] == {
            "id": created.json["id"]
        }
        assert admin("POST", "/routes", json={"paths": ["/b"], "service": {"name": "s"}}).status == 201
        assert admin("POST", "/consumers", json={"username": "c"}).status == 201
        assert admin("POST", "/consumers/c/acls", json={"group": "g"}).status == 201
        key = admin("POST", "/consumers/c/key-auth", json={}).json["key"]
        credential = admin.store.current.key_auth_credential(key)
        assert credential is not None
        assert len(key) >= 20

    def test_what_belongs_to_an_entity_goes_with_it(self, admin: Admin) -> None:
        admin.load()
        admin("POST", "/consumers/acme/key-auth", json={"key": "k"})

        assert admin("DELETE", "/consumers/acme").status == 204
        assert admin.store.current.key_auth_credential("k") is None
        assert len(admin.store.current.plugins) == 1
        assert admin("DELETE", "/consumers/acme").status == 204

    def test_a_service_with_routes_stays(self, admin: Admin) -> None:
        admin.load()
        answer = admin("DELETE", "/services/futuresms")

        assert answer.status == 400
        assert answer.json == {
            "code": 4,
            "name": "foreign key violation",
            "message": "an existing 'routes' entity references this 'services' entity",
            "fields": {"@referenced_by": "routes"},
        }

    @pytest.mark.parametrize(
        ("method", "path", "body", "status", "code", "message"),
        [
            ("POST", "/plugins", {}, 400, 2, "schema violation (name: required field missing)"),
            (
                "POST",
                "/plugins",
                {"name": "other"},
                400,
                2,
                "schema violation (name: plugin 'other' not enabled; add it to the 'plugins' configuration property)",
            ),
            ("POST", "/services", {"host": "h", "x": 1}, 400, 2, "schema violation (x: unknown field)"),
            (
                "POST",
                "/services",
                {"retries": -1},
                400,
                2,
                "2 schema violations (host: required field missing; retries: value should be between 0 and 32767)",
            ),
            (
                "POST",
                "/routes/yeastar/plugins",
                {"name": "pbx"},
                409,
                5,
                'UNIQUE violation detected on \'{consumer=null,name="pbx",route={id="',
            ),
            (
                "POST",
                "/consumers",
                {"username": "acme"},
                409,
                5,
                "UNIQUE violation detected on '{username=\"acme\"}'",
            ),
            (
                "POST",
                "/routes",
                {"paths": ["/"], "service": {"name": "x"}},
                400,
                13,
                "foreign key unresolved (service.name: the foreign key cannot be resolved with",
            ),
            (
                "POST",
                "/routes",
                {"paths": ["/"], "service": {"id": "00000000-0000-4000-8000-000000000000"}},
                400,
                4,
                "the foreign key '{id=\"00000000-0000-4000-8000-000000000000\"}' does not reference",
            ),
            (
                "POST",
                "/consumers/acme/plugins",
                {"name": "key-auth"},
                400,
                2,
                "schema violation (consumer: value must be null)",
            ),
        ],
    )
    def test_what_kong_refuses_is_refused_in_its_words(
        self, admin: Admin, method: str, path: str, body: dict[str, Any], status: int, code: int, message: str
    ) -> None:
        admin.load()
        present = admin.store.current
        answer = admin(method, path, json=body)

        assert (answer.status, answer.json["code"]) == (status, code)
        assert answer.json["message"].startswith(message)
        assert admin.store.current is present

    def test_bodies_and_methods_that_make_no_sense(self, admin: Admin) -> None:
        headers = {"Content-Type": "application/json"}

        assert admin("POST", "/consumers", data="{", headers=headers).json == {
            "message": "Cannot parse JSON body"
        }
        assert admin("POST", "/consumers", data="x", headers={"Content-Type": "text/plain"}).status == 415
        assert admin("PUT", "/consumers", json={}).json == {"message": "Method not allowed"}
        assert admin("POST", "/consumers/acme", json={}).status == 405
        assert admin("PATCH", "/consumers/nobody", json={}).status == 404
        assert admin("PATCH", "/config", json={}).status in (404, 405)

    def test_every_change_is_told_once(self, admin: Admin) -> None:
        told: list[Configuration] = []
        admin.store.subscribe(told.append)
        admin.load()
        admin("POST", "/consumers", json={"username": "b"})
        admin("POST", "/consumers", json={"username": "b"})
        admin("GET", "/consumers")

        assert len(told) == 2


def test_a_configuration_can_be_tried_without_being_used(admin: Admin) -> None:
    good = admin("POST", "/schemas/plugins/validate", json={"name": "rate-limiting", "config": {"minute": 1}})
    bad = admin("POST", "/schemas/plugins/validate", json={"name": "rate-limiting"})

    assert (good.status, good.json) == (200, {"message": "schema validation successful"})
    assert bad.status == 400
    assert admin("POST", "/schemas/nothing/validate", json={}).status == 404
    assert admin.store.current.plugins == ()
