"""Which call a request line is."""

from __future__ import annotations

import pytest
from yeastar_adapter.yeastar.endpoints import Endpoint, endpoint_of
from yeastar_adapter.yeastar.errors import INVALID_PARAMETER, Refusal

BASE = "/api/v1/integration/yeastar/sms"


@pytest.mark.parametrize(
    ("line", "endpoint"),
    [
        (f"GET {BASE}/verify HTTP/1.1", Endpoint.VERIFY),
        (f"POST {BASE}/sendmessage HTTP/1.1", Endpoint.SENDMESSAGE),
        (f"POST {BASE}/sendmessage HTTP/1.0", Endpoint.SENDMESSAGE),
        (f"POST {BASE}/sendmessage HTTP/2.0", Endpoint.SENDMESSAGE),
        (f"POST {BASE}/sendmessage?a=/verify HTTP/1.1", Endpoint.SENDMESSAGE),
        (f"GET {BASE}/%76erify HTTP/1.1", Endpoint.VERIFY),
        (f"GET {BASE}//x/../verify HTTP/1.1", Endpoint.VERIFY),
        (f"GET http://gateway:8000{BASE}/verify HTTP/1.1", Endpoint.VERIFY),
    ],
)
def test_the_two_calls_are_recognised_as_kong_routes_them(line: str, endpoint: Endpoint) -> None:
    assert endpoint_of(line) is endpoint


@pytest.mark.parametrize(
    "line",
    [
        *(
            f"{method} {BASE}/verify HTTP/1.1"
            for method in ("POST", "HEAD", "OPTIONS", "PUT", "DELETE", "get")
        ),
        *(f"{method} {BASE}/sendmessage HTTP/1.1" for method in ("GET", "HEAD", "PATCH", "PUT", "post", "")),
        f"GET {BASE}/other HTTP/1.1",
        f"POST {BASE} HTTP/1.1",
        "",
        "GET",
    ],
)
def test_any_other_method_or_path_is_10002(line: str) -> None:
    with pytest.raises(Refusal) as caught:
        endpoint_of(line)
    assert caught.value.error is INVALID_PARAMETER
