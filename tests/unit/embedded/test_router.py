"""Which route a request gets, and the path under which it goes upstream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kong_declarative import declarative
from kong_declarative.plugin_catalogue import PluginCatalogue

from kong.embedded.runloop.router import Match, Router


@pytest.fixture
def route(catalogue: PluginCatalogue) -> Any:
    """`route(routes)(method, path, host, headers)`: the match of a request among routes of one service."""

    def of(*routes: dict[str, Any], **service: Any) -> Any:
        declared = {
            "_format_version": "3.0",
            "services": [{"name": "s", "host": "h", **service, "routes": list(routes)}],
        }
        router = Router(declarative.load(json.dumps(declared), catalogue))

        def match(
            path: str, method: str = "GET", host: str = "gateway:8000", **headers: list[str]
        ) -> Match | None:
            return router.match(
                method, path, host, {name.replace("_", "-"): v for name, v in headers.items()}
            )

        return match

    return of


def name(match: Match | None) -> str | None:
    return match.route.name if match else None


class TestRecorded:
    """Requests to Kong 3.9.1, and what reached the upstream."""

    ROUTES = (
        {"name": "bare", "paths": ["/bare"], "strip_path": False},
        {"name": "adapter", "paths": ["~/adapter/(verify|sendmessage)$"], "strip_path": False},
        {"name": "strip", "paths": ["/strip"], "strip_path": True},
        {"name": "post-only", "paths": ["/post-only"], "methods": ["POST"], "strip_path": False},
        {"name": "host-kept", "paths": ["/host-kept"], "preserve_host": True, "strip_path": False},
    )

    @pytest.mark.parametrize(
        ("path", "found", "upstream", "prefix"),
        [
            ("/bare/x?q=1&r=%20", "bare", "/bare/x", None),
            ("/barely", "bare", "/barely", None),
            ("/none", None, None, None),
            ("/adapter/verify", "adapter", "/adapter/verify", None),
            ("/adapter/verify/x", None, None, None),
            ("/adapter/sendmessage?x=1", "adapter", "/adapter/sendmessage", None),
            ("/strip/a/b", "strip", "/a/b", "/strip"),
            ("/strip", "strip", "/", "/strip"),
            ("/post-only", None, None, None),
            ("/bare//a/../b/./c", "bare", "/bare/b/c", None),
            ("/bare/%41%2f%20", "bare", "/bare/A%2F%20", None),
            ("/bare/", "bare", "/bare/", None),
        ],
    )
    def test_paths(self, route: Any, path: str, found: str, upstream: str, prefix: str) -> None:
        match = route(*self.ROUTES)(path)

        assert name(match) == found
        if match is not None:
            assert (match.upstream_path, match.forwarded_prefix) == (upstream, prefix)

    def test_a_path_of_the_service_comes_first(self, route: Any) -> None:
        routed = route(
            {"name": "stripped", "paths": ["/with-path"]},
            {"name": "kept", "paths": ["/with-path-keep"], "strip_path": False},
            path="/base",
        )

        assert routed("/with-path/a").upstream_path == "/base/a"
        assert routed("/with-path-keep/a").upstream_path == "/base/with-path-keep/a"

    def test_the_method_has_to_fit(self, route: Any) -> None:
        assert name(route(*self.ROUTES)("/post-only", method="POST")) == "post-only"

    def test_the_host_is_kept_when_asked_for(self, route: Any) -> None:
        routed = route(*self.ROUTES)

        assert routed("/host-kept", host="pbx.example").upstream_host == "pbx.example"
        assert routed("/bare", host="pbx.example").upstream_host is None

    def test_a_service_that_is_switched_off_has_no_routes(self, route: Any) -> None:
        assert route({"name": "off", "paths": ["/off"]}, enabled=False)("/off") is None


class TestUpstreamPath:
    @pytest.mark.parametrize(
        ("service", "strip", "path", "upstream"),
        [
            (None, True, "/r", "/"),
            (None, True, "/r/", "/"),
            (None, True, "/rx", "/x"),
            (None, True, "/r/x", "/x"),
            (None, False, "/r/x", "/r/x"),
            ("/b", True, "/r", "/b"),
            ("/b", True, "/r/", "/b/"),
            ("/b", True, "/rx", "/b/x"),
            ("/b", True, "/r/x", "/b/x"),
            ("/b", False, "/r/x", "/b/r/x"),
            ("/b/", True, "/r", "/b"),
            ("/b/", True, "/r/", "/b/"),
            ("/b/", True, "/rx", "/b/x"),
            ("/b/", True, "/r/x", "/b/x"),
            ("/b/", False, "/r/x", "/b/r/x"),
        ],
    )
    def test_service_and_request_meet_in_one_slash(
        self, route: Any, service: str | None, strip: bool, path: str, upstream: str
    ) -> None:
        routed = route({"name": "r", "paths": ["/r"], "strip_path": strip}, path=service)

        assert routed(path).upstream_path == upstream

    def test_the_root_prefix_is_not_forwarded(self, route: Any) -> None:
        assert route({"name": "r", "paths": ["/"]})("/x").forwarded_prefix is None

    def test_what_must_not_stand_in_a_request_line_is_encoded_again(self, route: Any) -> None:
        routed = route({"name": "r", "paths": ["/r"]})

        assert routed("/r/%c3%a9%22%7B").upstream_path == "/%C3%A9%22%7B"
        assert routed("/r/%0A").upstream_path == "/%0A"

    def test_a_route_without_paths_takes_nothing_away(self, route: Any) -> None:
        match = route({"name": "r", "methods": ["GET"]}, path="/b")("/x/y")

        assert (match.upstream_path, match.forwarded_prefix) == ("/b/x/y", None)


class TestRegularExpressions:
    def test_they_match_from_the_start_and_strip_what_matched(self, route: Any) -> None:
        routed = route({"name": "r", "paths": [r"~/v\d+/x"]})

        assert routed("/v12/x/rest").upstream_path == "/rest"
        assert routed("/v12/x/rest").forwarded_prefix == "/v12/x"
        assert routed("/a/v12/x") is None

    def test_captures_come_by_number_and_by_name(self, route: Any) -> None:
        match = route({"name": "r", "paths": [r"~/(?<version>v\d)/(.*)"]})("/v1/a%20b")

        assert match.captures == ("v1", "a b")
        assert match.named_captures == {"version": "v1"}

    def test_a_dollar_is_the_very_end(self, route: Any) -> None:
        assert route({"name": "r", "paths": ["~/x$"]})("/x%0A") is None
        assert name(route({"name": "r", "paths": ["~/x[$]"]})("/x$")) == "r"

    def test_bytes_beyond_ascii_are_bytes_again_in_captures(self, route: Any) -> None:
        match = route({"name": "r", "paths": ["~/(.)$"]})("/%C3%A9")

        assert match.captures == ("é".encode().decode("latin-1"),)

    def test_a_path_that_is_no_text_matches_nothing(self, route: Any) -> None:
        assert route({"name": "r", "paths": ["/"]})("/%ff") is None


class TestWhichFirst:
    """Among routes that all match."""

    def test_the_longer_path(self, route: Any) -> None:
        routed = route({"name": "short", "paths": ["/a"]}, {"name": "long", "paths": ["/zzzz", "/a/b"]})

        assert name(routed("/a/b/c")) == "long"
        assert name(routed("/a/x")) == "short"

    def test_the_one_that_asks_for_more(self, route: Any) -> None:
        routed = route(
            {"name": "path", "paths": ["/a/long/path"]}, {"name": "more", "paths": ["/a"], "methods": ["GET"]}
        )

        assert name(routed("/a/long/path")) == "more"
        assert name(routed("/a/long/path", method="POST")) == "path"

    def test_plain_hosts_before_everything(self, route: Any) -> None:
        routed = route(
            {"name": "wildcard", "hosts": ["*.example"], "paths": ["/a"], "methods": ["GET"]},
            {"name": "regex", "paths": ["~/a"]},
            {"name": "host", "hosts": ["pbx.example"]},
        )

        assert name(routed("/a", host="pbx.example")) == "host"
        assert name(routed("/a", host="other.example")) == "regex"

    def test_regular_expressions_before_prefixes_and_by_their_priority(self, route: Any) -> None:
        routed = route(
            {"name": "prefix", "paths": ["/a/very/long/prefix"], "regex_priority": 9},
            {"name": "low", "paths": ["~/a.*"], "regex_priority": 1},
            {"name": "high", "paths": ["~/a/very.*"], "regex_priority": 2},
        )

        assert name(routed("/a/very/long/prefix")) == "high"
        assert name(routed("/a/x")) == "low"

    def test_more_headers_before_longer_paths(self, route: Any) -> None:
        routed = route(
            {"name": "one", "paths": ["/my-route/hello"], "headers": {"version": ["v1"]}},
            {"name": "two", "paths": ["/my-route"], "headers": {"version": ["v1"], "location": ["us-east"]}},
        )

        assert name(routed("/my-route/hello", version=["v1"], location=["us-east"])) == "two"
        assert name(routed("/my-route/hello", version=["v1"])) == "one"

    def test_each_length_of_a_routes_paths_counts_for_itself(self, route: Any) -> None:
        routed = route(
            {"name": "both", "paths": ["~/some/thing/else", "/foo"], "hosts": ["a.example"]},
            {"name": "prefix", "paths": ["/foo/bar"], "hosts": ["a.example"]},
        )

        assert name(routed("/foo/bar", host="a.example")) == "prefix"
        assert name(routed("/some/thing/else", host="a.example")) == "both"

    def test_equal_routes_by_their_ids(self, route: Any) -> None:
        ids = ["00000000-0000-4000-8000-00000000000" + digit for digit in "21"]
        routed = route(*({"id": id, "name": f"n{id[-1]}", "paths": ["/a"]} for id in ids))

        assert name(routed("/a")) == "n2"


class TestHostsAndHeaders:
    def test_wildcards_and_ports(self, route: Any) -> None:
        routed = route(
            {"name": "left", "hosts": ["*.example"]},
            {"name": "right", "hosts": ["example.*"]},
            {"name": "port", "hosts": ["pbx.test:8443"]},
        )

        assert name(routed("/", host="a.b.example")) == "left"
        assert name(routed("/", host="example.org:1")) == "right"
        assert name(routed("/", host="pbx.test:8443")) == "port"
        assert routed("/", host="pbx.test:8000") is None
        assert routed("/", host="example") is None

    def test_header_values_in_any_case_and_as_regular_expressions(self, route: Any) -> None:
        routed = route(
            {"name": "r", "headers": {"X-Version": ["V1", "v2"]}},
            {"name": "re", "headers": {"x-re": ["~*^A+$"]}},
        )

        assert name(routed("/", x_version=["other", "v1"])) == "r"
        assert routed("/", x_version=["v3"]) is None
        assert name(routed("/", x_re=["aaA"])) == "re"
        assert routed("/", x_re=["ab"]) is None
