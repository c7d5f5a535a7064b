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

    @pytest.mark.parametrize(
        "options", [{"params": {"flatten_errors": "1"}}, {"data": {"flatten_errors": "1"}}]
    )
    def test_errors_by_entity_are_refused_by_name(self, admin: Admin, options: dict[str, Any]) -> None:
        answer = admin(
            "POST", "/config", **{**options, "data": {"config": KONG_YML, **options.get("data", {})}}
        )

        assert answer.status == 400
        assert answer.json == {"message": "'flatten_errors' is not supported by the embedded gateway"}

    def test_nothing_and_what_is_no_configuration(self, admin: Admin) -> None:
        nothing = admin("POST", "/config", skip_auto_headers=["Content-Type"])

        assert nothing.json == {"message": "expected a declarative configuration"}
        assert admin("POST", "/config", data="x", headers={"Content-Type": "image/png"}).status == 415
        assert admin("POST", "/config", json={"config": ""}).status == 400


def _untimed(route: Route) -> dict[str, Any]:
    return {name: value for name, value in route.as_dict().items() if not name.endswith("_at")}


class TestReading:
    def test_a_collection_comes_whole(self, admin: Admin) -> None:
        admin.load('_format_version: "3.0"\nconsumers: [{username: a}, {username: b}]\n')
        answer = admin("GET", "/consumers").json

        assert [entity["username"] for entity in answer["data"]] == ["a", "b"]
        assert answer["next"] is None

    @pytest.mark.parametrize("option", ["size", "offset", "tags", "custom_id"])
    def test_a_part_of_a_collection_is_refused_by_name(self, admin: Admin, option: str) -> None:
        answer = admin("GET", f"/consumers?{option}=1")

        assert answer.status == 400
        assert answer.json == {"message": f"'{option}' is not supported by the embedded gateway"}

    def test_an_entity_is_found_by_id_and_by_name(self, admin: Admin) -> None:
        admin.load()
        route = admin("GET", "/routes/yeastar").json

        assert route["paths"] == ["/a"]
        assert route["methods"] is None
        assert admin("GET", f"/routes/{route['id']}").json == route

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_what_belongs_to_an_entity_is_refused_by_name(self, admin: Admin, method: str) -> None:
        answer = admin(method, "/consumers/acme/plugins")

        assert answer.status == 400
        assert answer.json == {
            "message": "'/consumers/acme/plugins' is not supported by the embedded gateway"
        }

    def test_what_is_not_there_is_404(self, admin: Admin) -> None:
        for path in ("/consumers/nobody", "/nothing", "/nothing/at/all"):
            answer = admin("GET", path)
            assert (answer.status, answer.json) == (404, {"message": "Not found"})

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


def test_a_configuration_can_be_tried_without_being_used(admin: Admin) -> None:
    good = admin("POST", "/schemas/plugins/validate", json={"name": "rate-limiting", "config": {"minute": 1}})
    bad = admin("POST", "/schemas/plugins/validate", json={"name": "rate-limiting"})

    assert (good.status, good.json) == (200, {"message": "schema validation successful"})
    assert bad.status == 400
    assert admin("POST", "/schemas/nothing/validate", json={}).status == 404
    assert admin.store.current.plugins == ()
