"""kong.yml: what is taken, what is refused and in which words, and the ids that come out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kong_declarative import declarative
from kong_declarative.configuration import Configuration
from kong_declarative.configuration_error import ConfigurationError
from kong_declarative.plugin_catalogue import PluginCatalogue

Load = Callable[..., Configuration]


@pytest.fixture
def load(catalogue: PluginCatalogue) -> Load:
    def of(text: str | dict[str, Any], **options: Any) -> Configuration:
        if isinstance(text, dict):
            text = json.dumps({"_format_version": "3.0", **text})
        return declarative.load(text, catalogue, **{"environ": {}, **options})

    return of


@pytest.fixture
def refusal(load: Load) -> Callable[..., ConfigurationError]:
    def of(text: str | dict[str, Any], **options: Any) -> ConfigurationError:
        with pytest.raises(ConfigurationError) as raised:
            load(text, **options)
        return raised.value

    return of


Refusal = Callable[..., ConfigurationError]

SERVICE = {"name": "futuresms", "url": "http://127.0.0.1:8080"}


class TestTaken:
    def test_ids_are_those_that_kong_gives(self, load: Load) -> None:
        """Recorded from Kong 3.9.1, as is the bookkeeping."""
        route = {"name": "yeastar-sms", "paths": ["/a"], "plugins": [{"name": "pbx"}]}
        configuration = load(
            {"services": [{**SERVICE, "routes": [route]}], "consumers": [{"username": "acme-manila"}]}
        )

        assert set(configuration.services) == {"60a809c1-946c-5a89-8e96-c0b1b4f594f0"}
        assert set(configuration.routes) == {"fd579e05-ff8a-5338-a4ec-12914cb7e85d"}
        assert set(configuration.consumers) == {"f70c4878-8cb8-591d-8b00-c1f20c88f1ac"}
        assert configuration.plugins[0].key == (
            "plugins:pbx:fd579e05-ff8a-5338-a4ec-12914cb7e85d::::0dc6f45b-8f8d-40d2-a504-473544ee190b"
        )

    def test_ids_are_the_same_the_next_time(self, load: Load) -> None:
        declared = {
            "services": [{**SERVICE, "plugins": [{"name": "pbx"}]}],
            "consumers": [{"username": "a", "plugins": [{"name": "pbx"}], "acls": [{"group": "g"}]}],
        }

        assert [plugin.id for plugin in load(declared).plugins] == [
            plugin.id for plugin in load(declared).plugins
        ]

    def test_the_id_of_a_key_tells_nothing_about_the_key(self, load: Load) -> None:
        declared = {"consumers": [{"username": "a", "keyauth_credentials": [{"key": "k"}]}]}
        first, second = (load(declared).key_auth_credential("k") for _ in range(2))

        assert first is not None
        assert second is not None
        assert first.id != second.id

    def test_a_url_stands_for_protocol_host_port_and_path(self, load: Load) -> None:
        def parts(url: str) -> tuple[Any, ...]:
            [service] = load({"services": [{"name": "s", "url": url}]}).services.values()
            return service.protocol, service.host, service.port, service.path

        assert parts("http://api.example:8080/v1") == ("http", "api.example", 8080, "/v1")
        assert parts("https://api.example") == ("https", "api.example", 443, None)
        assert parts("http://user@[::1]:81") == ("http", "::1", 81, None)
        assert parts("//api.example:443") == ("https", "api.example", 443, None)

    def test_entities_may_stand_inside_one_another_or_refer_by_name(self, load: Load) -> None:
        nested = load(
            {
                "services": [
                    {**SERVICE, "routes": [{"name": "r", "paths": ["/"], "plugins": [{"name": "pbx"}]}]}
                ]
            }
        )
        flat = load(
            {
                "services": [SERVICE],
                "routes": [{"name": "r", "paths": ["/"], "service": "futuresms"}],
                "plugins": [{"name": "pbx", "route": "r"}],
            }
        )

        assert nested.plugins[0].route_id == flat.plugins[0].route_id
        assert [route.service_id for route in nested.routes.values()] == [
            route.service_id for route in flat.routes.values()
        ]

    def test_an_entity_inside_another_may_name_it_again(self, load: Load) -> None:
        routes = [{"name": "a", "paths": ["/a"], "service": "futuresms"}]
        routes.append(
            {"name": "b", "paths": ["/b"], "service": {"id": "60a809c1-946c-5a89-8e96-c0b1b4f594f0"}}
        )

        assert len(load({"services": [{**SERVICE, "routes": routes}]}).routes) == 2

    def test_what_an_anchor_repeats_becomes_an_entity_each_time(self, load: Load) -> None:
        configuration = load(
            "_format_version: '3.0'\n"
            "services:\n"
            "- name: s\n"
            "  url: http://127.0.0.1\n"
            "  routes:\n"
            "  - {name: a, paths: [/a], plugins: &guarded [{name: pbx}, {name: acl, config: {allow: [x]}}]}\n"
            "  - {name: b, paths: [/b], plugins: *guarded}\n"
        )

        assert len({(plugin.id, plugin.route_id) for plugin in configuration.plugins}) == 4

    def test_paths_of_the_old_format_become_regular_expressions_where_they_were(self, load: Load) -> None:
        declared = {
            "_format_version": "1.1",
            "routes": [{"name": "r", "paths": ["/plain//x", "/re(gex)$", r"/a%2Eb\d", "/%41"]}],
        }

        [route] = load(json.dumps(declared)).routes.values()

        assert route.paths == ("/plain/x", "~/re(gex)$", r"~/a\.b\d", "/A")

    def test_comments_inside_entities_are_ignored(self, load: Load) -> None:
        [service] = load({"services": [{**SERVICE, "_comment": "x", "_ignore": [1]}]}).services.values()

        assert "_comment" not in service.as_dict()

    def test_the_hash_is_that_of_the_text(self, load: Load) -> None:
        assert load("_format_version: '3.0'\n").hash == "d77d2ce3e8823b105929691c9b13ae54"


class TestRefused:
    @pytest.mark.parametrize(
        ("declared", "errors"),
        [
            ({"_format_version": "4.0"}, {"_format_version": "expected one of: 1.1, 2.1, 3.0"}),
            ({"_format_version": None}, {"_format_version": "required field missing"}),
            ({"_info": {}}, {"_info": "unknown field"}),
            ({"servces": []}, {"servces": "unknown field"}),
            ({"services": {"name": "s"}}, {"services": "expected an array"}),
            ({"services": ["s"]}, {"services": ["expected a record"]}),
            ({"services": [{"name": "s"}]}, {"services": [{"host": "required field missing"}]}),
            (
                {"services": [SERVICE, {**SERVICE, "name": "t", "ulr": "x"}]},
                {"services": [None, {"ulr": "unknown field"}]},
            ),
            (
                {"services": [{"name": "s", "url": "tcp://h"}]},
                {"services": [{"protocol": "'tcp' is not supported by the embedded gateway"}]},
            ),
            (
                {"services": [{"name": "s", "host": "h:80", "path": "x//y"}]},
                {"services": [{"host": "must not have a port", "path": "should start with: /"}]},
            ),
            (
                {"services": [{**SERVICE, "connect_timeout": 0}]},
                {"services": [{"connect_timeout": "value should be between 1 and 2147483646"}]},
            ),
            (
                {"services": [{**SERVICE, "tls_verify": True}]},
                {
                    "services": [
                        {
                            "tls_verify": "value must be null",
                            "@entity": ["failed conditional validation given value of field 'protocol'"],
                        }
                    ]
                },
            ),
            (
                {"routes": [{"name": "r"}]},
                {
                    "routes": [
                        {
                            "@entity": [
                                "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' "
                                "when 'protocols' is 'https'"
                            ]
                        }
                    ]
                },
            ),
            (
                {"routes": [{"paths": ["a", "/a//b", "/%zz", "/a/../b", "~/("]}]},
                {
                    "routes": [
                        {
                            "paths": [
                                "should start with: / (fixed path) or ~/ (regex path)",
                                "must not have empty segments",
                                "invalid url-encoded value: '%zz'",
                                "non-normalized path, consider use '/b' instead",
                                "invalid regex: '/(' (PCRE returned: missing ), unterminated subpattern at position 1)",
                            ]
                        }
                    ]
                },
            ),
            (
                {"routes": [{"paths": ["~/(?=a)"]}]},
                {
                    "routes": [
                        {
                            "@entity": [
                                "Router Expression failed validation: regex parse error: /(?=a): "
                                "look-around is not supported"
                            ]
                        }
                    ]
                },
            ),
            (
                {"routes": [{"methods": ["post"], "headers": {"Host": ["x"]}, "hosts": ["*a"]}]},
                {
                    "routes": [
                        {
                            "methods": ["invalid value: post"],
                            "headers": "cannot contain 'host' header, which must be specified in the 'hosts' attribute",
                            "hosts": ["invalid wildcard: must be placed at leftmost or rightmost label"],
                        }
                    ]
                },
            ),
            (
                {"routes": [{"paths": ["/"], "protocols": ["http", "grpc"]}]},
                {"routes": [{"protocols": [None, "'grpc' is not supported by the embedded gateway"]}]},
            ),
            (
                {"routes": [{"paths": ["/"], "snis": ["a"]}]},
                {"routes": [{"snis": "not supported by the embedded gateway"}]},
            ),
            (
                {"consumers": [{"tags": ["a,b"]}]},
                {
                    "consumers": [
                        {
                            "tags": [
                                "invalid tag 'a,b': expected printable ascii (except `,` and `/`) "
                                "or valid utf-8 sequences"
                            ],
                            "@entity": [
                                "at least one of these fields must be non-empty: 'custom_id', 'username'"
                            ],
                        }
                    ]
                },
            ),
            ({"plugins": [{"config": {}}]}, {"plugins": [{"name": "required field missing"}]}),
            (
                {"plugins": [{"name": "pbx2"}]},
                {
                    "plugins": [
                        {"name": "plugin 'pbx2' not enabled; add it to the 'plugins' configuration property"}
                    ]
                },
            ),
            (
                {"plugins": [{"name": "jwt"}]},
                {"plugins": [{"name": "plugin 'jwt' is not supported by the embedded gateway"}]},
            ),
            (
                {"plugins": [{"name": "key-auth", "consumer": "a"}], "consumers": [{"username": "a"}]},
                {"plugins": [{"consumer": "value must be null"}]},
            ),
            ({"upstreams": [{"name": "u"}]}, {"upstreams": "not supported by the embedded gateway"}),
            (
                {"services": [{**SERVICE, "routes": [{"paths": ["/"], "service": "other"}]}]},
                {"services": [{"routes": [{"service": "value must be null"}]}]},
            ),
            (
                {"routes": [{"paths": ["/"], "service": {"name": "s"}}]},
                {"routes": [{"service": {"id": "missing primary key"}}]},
            ),
            (
                {"routes": [{"name": "r", "paths": ["/"], "service": "nowhere"}]},
                {"routes": {"r": ["invalid reference 'service: nowhere' (no such entry in 'services')"]}},
            ),
            (
                {
                    "routes": [
                        {
                            "name": "r",
                            "paths": ["/"],
                            "service": {"id": "769bdf51-16df-5476-9830-ef26800b5448"},
                        }
                    ]
                },
                {
                    "routes": {
                        "r": [
                            'invalid reference \'service: {"id":"769bdf51-16df-5476-9830-ef26800b5448"}\' '
                            "(no such entry in 'services')"
                        ]
                    }
                },
            ),
            (
                {"routes": [{"headers": {"x": ["plain", "~*A("]}}]},
                {
                    "routes": [
                        {
                            "@entity": [
                                "Router Expression failed validation: regex parse error: a(: "
                                "missing ), unterminated subpattern at position 1"
                            ]
                        }
                    ]
                },
            ),
            (
                {"services": [SERVICE, SERVICE]},
                {
                    "services": [
                        None,
                        "uniqueness violation: 'services' entity with name set to 'futuresms' already declared",
                    ]
                },
            ),
            (
                {"consumers": [{"username": "a", "custom_id": "x"}, {"username": "b", "custom_id": "x"}]},
                {
                    "consumers": {
                        "b": "uniqueness violation: 'consumers' entity with custom_id set to 'x' already declared"
                    }
                },
            ),
            (
                {
                    "consumers": [
                        {"username": "a", "keyauth_credentials": [{"key": "k"}]},
                        {"username": "b", "keyauth_credentials": [{"key": "k"}]},
                    ]
                },
                {
                    "keyauth_credentials": [
                        "uniqueness violation: 'keyauth_credentials' entity with key set to 'k' already declared"
                    ]
                },
            ),
        ],
        ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
    )
    def test_an_error_stands_in_the_tree_where_the_fault_is(
        self, declared: dict[str, Any], errors: dict[str, Any], refusal: Refusal
    ) -> None:
        assert refusal(declared).errors == errors

    def test_a_plugin_is_declared_once_for_a_scope(self, refusal: Refusal) -> None:
        errors = refusal({"services": [{**SERVICE, "plugins": [{"name": "pbx"}, {"name": "pbx"}]}]}).errors
        id = declarative.declared_id("plugins", "plugins:*:pbx::60a809c1-946c-5a89-8e96-c0b1b4f594f0:")
        text = f"uniqueness violation: 'plugins' entity with primary key set to '{id}' already declared"

        assert errors == {"services": [{"plugins": [None, text]}]}

    def test_every_fault_is_told_at_once(self, refusal: Refusal) -> None:
        errors = refusal({"services": [{"name": "s", "retries": -1}], "consumers": [{}], "x": 1}).errors

        assert set(errors) == {"services", "consumers", "x"}
        assert set(errors["services"][0]) == {"host", "retries"}

    def test_a_file_that_is_a_list_is_refused(self, refusal: Refusal) -> None:
        assert str(refusal("- a\n")) == "failed parsing declarative configuration: expected an object"


class TestOneLine:
    YML = """\
_format_version: "3.0"
services:
  - name: futuresms
    url: http://127.0.0.1:8080
    routes:
      - name: yeastar
        paths: ["/a"]
        plugins:
          - name: pbx
            config:
              limits: {second: 0}
          - name: acl
"""

    def test_it_says_file_line_and_which_entity(self, refusal: Refusal) -> None:
        lines = str(refusal(self.YML, source="kong.yml")).split("; ")

        assert lines[0] == (
            "kong.yml:11: services[futuresms].routes[yeastar].plugins[pbx].config.limits.second: "
            "value must be greater than 0"
        )
        assert lines[1].startswith(
            "kong.yml:12: services[futuresms].routes[yeastar].plugins[acl]: exactly one"
        )

    def test_it_finds_the_line_of_a_reference_to_nothing(self, refusal: Refusal) -> None:
        text = '_format_version: "3.0"\nplugins:\n- name: pbx\n  route: nowhere\n'

        assert str(refusal(text, source="kong.yml")).startswith("kong.yml:3: plugins.")

    def test_it_stops_after_five(self, refusal: Refusal) -> None:
        line = str(refusal({"routes": [{"paths": ["a"] * 7}]}))

        assert line.endswith("; and 2 more")
        assert line.count("should start with") == 5

    def test_a_file_that_is_not_there(self, catalogue: PluginCatalogue, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError) as raised:
            declarative.load_file(str(tmp_path / "kong.yml"), catalogue)

        assert str(raised.value) == f"{tmp_path}/kong.yml: cannot be read: No such file or directory"
