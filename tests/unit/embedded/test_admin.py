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
from kong_declarative.entities import Route
from kong_declarative.plugin_catalogue import PluginCatalogue

from kong.embedded.admin_api.api import create_admin

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

    def __init__(self, store: Store, *, database: bool = False) -> None:
        self.store = store
        self.database = database

    def __call__(self, method: str, path: str, **options: Any) -> Answer:
        async def send() -> Answer:
            async with (
                TestClient(TestServer(create_admin(self.store, database=self.database))) as client,
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
        assert [_untimed(route) for route in after.routes.values()] == [
            _untimed(route) for route in before.routes.values()
        ]
        assert [(plugin.key, plugin.config) for plugin in after.plugins] == [
            (plugin.key, plugin.config) for plugin in before.plugins
        ]

    def test_nothing_and_what_is_no_configuration(self, admin: Admin) -> None:
        nothing = admin("POST", "/config", skip_auto_headers=["Content-Type"])

        assert nothing.json == {"message": "expected a declarative configuration"}
        assert admin("POST", "/config", data="x", headers={"Content-Type": "image/png"}).status == 415
        assert admin("POST", "/config", json={"config": ""}).status == 400


def _untimed(route: Route) -> dict[str, Any]:
    return {name: value for name, value in route.as_dict().items() if not name.endswith("_at")}


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


UNSUPPORTED = {"code": 12, "name": "operation unsupported"}


class TestChanging:
    """As a Kong 3.9.1 without a database answered."""

    @pytest.mark.parametrize(
        ("method", "path", "change"),
        [
            ("POST", "/consumers", "create 'consumers' entities"),
            ("PATCH", "/consumers/acme", "update 'consumers' entities by 'username'"),
            ("PUT", "/consumers/b", "create or update 'consumers' entities by 'username'"),
            ("DELETE", "/consumers/acme", "remove 'consumers' entities by 'username'"),
            ("POST", "/consumers/acme/key-auth", "create 'keyauth_credentials' entities"),
        ],
    )
    def test_entities_cannot_be_changed_one_by_one(
        self, admin: Admin, method: str, path: str, change: str
    ) -> None:
        admin.load()
        present = admin.store.current
        answer = admin(method, path, json={})

        assert answer.status == 405
        assert answer.json == {**UNSUPPORTED, "message": f"cannot {change} when not using a database"}
        assert admin.store.current is present

    def test_an_entity_is_named_by_its_id_too(self, admin: Admin) -> None:
        admin.load()
        answer = admin("PATCH", f"/plugins/{admin.plugin('acme')['id']}", json={"enabled": False})

        assert answer.json["message"] == "cannot update 'plugins' entities when not using a database"

    def test_what_is_not_there(self, admin: Admin) -> None:
        assert admin("DELETE", "/consumers/nobody").status == 204
        assert admin("PATCH", "/consumers/nobody", json={}).json == {"message": "Not found"}
        assert admin("POST", "/consumers/nobody/key-auth", json={}).status == 404
        assert admin("POST", "/nonsense", json={}).status == 404

    def test_methods_that_make_no_sense(self, admin: Admin) -> None:
        admin.load()
        for method, path in (
            ("PUT", "/consumers"),
            ("PATCH", "/consumers"),
            ("POST", "/consumers/acme"),
            ("PATCH", "/"),
            ("DELETE", "/config"),
        ):
            assert admin(method, path, json={}).json == {"message": "Method not allowed"}


class TestCreating:
    """As a Kong with a database answers."""

    @pytest.fixture
    def database(self, admin: Admin) -> Admin:
        admin.load()
        return Admin(admin.store, database=True)

    def test_entities_are_created_below_others_and_serve_at_once(self, database: Admin) -> None:
        assert (
            database("POST", "/routes", json={"paths": ["/b"], "service": {"name": "futuresms"}}).status
            == 201
        )
        assert database("POST", "/consumers/acme/acls", json={"group": "g"}).status == 201
        key = database("POST", "/consumers/acme/key-auth", json={}).json["key"]
        assert database.store.current.key_auth_credential(key) is not None
        assert len(database.store.current.routes) == 2

    @pytest.mark.parametrize(
        ("path", "body", "status", "code", "message"),
        [
            ("/plugins", {}, 400, 2, "schema violation (name: required field missing)"),
            (
                "/consumers",
                {"username": "acme"},
                409,
                5,
                "UNIQUE violation detected on '{username=\"acme\"}'",
            ),
            (
                "/routes",
                {"paths": ["/"], "service": {"name": "x"}},
                400,
                13,
                "foreign key unresolved (service.name: the foreign key cannot be resolved with",
            ),
        ],
    )
    def test_what_kong_refuses_is_refused_in_its_words(
        self, database: Admin, path: str, body: dict[str, Any], status: int, code: int, message: str
    ) -> None:
        present = database.store.current
        answer = database("POST", path, json=body)

        assert (answer.status, answer.json["code"]) == (status, code)
        assert answer.json["message"].startswith(message)
        assert database.store.current is present


def test_a_configuration_can_be_tried_without_being_used(admin: Admin) -> None:
    good = admin("POST", "/schemas/plugins/validate", json={"name": "rate-limiting", "config": {"minute": 1}})
    bad = admin("POST", "/schemas/plugins/validate", json={"name": "rate-limiting"})

    assert (good.status, good.json) == (200, {"message": "schema validation successful"})
    assert bad.status == 400
    assert admin("POST", "/schemas/nothing/validate", json={}).status == 404
    assert admin.store.current.plugins == ()
