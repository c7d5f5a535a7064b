"""Fixtures of every test: a real Redis server, the FutureSMS stub, a gateway, a PBX.

Without options the suite starts an embedded gateway of its own. With `--proxy-url`, `--admin-url` and `--stub-url`
it runs against the gateway that is there, such as a real Kong, into which it loads its own configurations.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.fuzz.cases import LONG
from tests.harness.gateway import EmbeddedGateway, Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.outside import found_addresses, kept_configuration
from tests.harness.pbx import Journal, Pbx
from tests.harness.redis import RedisServer
from tests.harness.secrets import Secrets
from tests.harness.stub import PASSWORD, StubClient, StubServer

# The suite starts some hundred Python processes, and pytest rewrites each test module: once is enough.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Property-based tests are judged by what they find, not by how fast this machine is. They try the same cases every
# time: what nobody has broken stays green. With `FUZZ=long` (`make soak`) they try others each time, and many more;
# what they find gets a case.
settings.register_profile(
    "project",
    deadline=None,
    max_examples=2000 if LONG else 60,
    derandomize=not LONG,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("project")

_OPTIONS = ("--proxy-url", "--admin-url", "--stub-url")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gateway", "a gateway that runs already")
    group.addoption("--proxy-url", help="its proxy, http://127.0.0.1:8000; needs the two others")
    group.addoption("--admin-url", help="its Admin API, http://127.0.0.1:8001")
    group.addoption("--stub-url", help="the controls of the FutureSMS stub, http://127.0.0.1:8080")
    group.addoption(
        "--upstream-url",
        help="the stub as the gateway reaches it; otherwise what the gateway's own service says",
    )
    group.addoption("--reports-url", help="the gateway as the stub reaches it; otherwise --proxy-url")


def pytest_configure(config: pytest.Config) -> None:
    given = [option for option in _OPTIONS if config.getoption(option)]
    if given and len(given) < len(_OPTIONS):
        raise pytest.UsageError(f"{', '.join(_OPTIONS)} go together; only {', '.join(given)} given")
    if given and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("one gateway, one process: leave out -n, or say -n 0")
    config.stash[_journal] = Journal()
    config.stash[_secrets] = Secrets()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: two processes a CPU, as many tests wait for a time-out, a clock or a process."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 2 * cpus


def pytest_report_header(config: pytest.Config) -> list[str]:
    if not config.getoption("--proxy-url"):
        return []
    return [
        f"gateway: {config.getoption('--proxy-url')}; until the end it serves configurations of this suite (the demo "
        "keys, no rate limits, the stub's account), then what it serves now"
    ]


_journal = pytest.StashKey[Journal]()
_secrets = pytest.StashKey[Secrets]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--proxy-url"):
        reason = "needs a gateway of its own to stop, kill or reload"
        for item in items:
            if "embedded_gateway" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def journal(pytestconfig: pytest.Config) -> Iterator[Journal]:
    """Every answer that PBX clients of this process have seen; none of them may be outside the contract."""
    journal = pytestconfig.stash[_journal]
    yield journal
    assert not journal.outside, "answers outside the contract:\n" + "\n".join(journal.outside[:20])


@pytest.fixture(scope="session")
def secrets(pytestconfig: pytest.Config) -> Secrets:
    """What must not stand in any log; PBX clients add keys, texts and numbers by themselves."""
    secrets = pytestconfig.stash[_secrets]
    secrets.guard(PASSWORD)
    return secrets


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis server of this session."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def start_redis(tmp_path: Path, secrets: Secrets) -> Iterator[Callable[..., RedisServer]]:
    """Start a server of the test's own: `start_redis(password="…", tls=True)`."""
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> RedisServer:
            server = RedisServer(tmp_path, **options)
            secrets.guard(server.password)
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture(scope="session")
def _stub(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, secrets: Secrets
) -> Iterator[StubClient]:
    url = pytestconfig.getoption("--stub-url")
    if url:
        yield StubClient(url)
        return
    server = StubServer(tmp_path_factory.mktemp("stub"))
    yield server
    server.stop()


@pytest.fixture
def stub(_stub: StubClient, secrets: Secrets) -> Iterator[StubClient]:
    """The FutureSMS stub, as fresh as at its start."""
    if isinstance(_stub, StubServer):
        _stub.start()
        _stub.resume()
    _stub.reset()
    yield _stub
    if isinstance(_stub, StubServer) and not _stub.alive:
        return
    _stub.behave_well()
    secrets.guard_all(_stub.tokens())


@pytest.fixture(scope="session")
def _addresses(
    pytestconfig: pytest.Config, _stub: StubClient, request: pytest.FixtureRequest
) -> dict[str, Any]:
    """How the gateway reaches the stub (`upstream`, `ca_certificates`) and Redis (`redis`, as `rate_limit.redis`)."""
    admin_url = pytestconfig.getoption("--admin-url")
    found = found_addresses(admin_url) if admin_url else {}
    upstream = pytestconfig.getoption("--upstream-url") or found.get("upstream") or _stub.url
    redis = found.get("redis") or request.getfixturevalue("redis_server").settings()
    return {**found, "upstream": upstream, "redis": redis}


@pytest.fixture(scope="session")
def _base_kong_yml(_addresses: dict[str, Any]) -> KongYml:
    kong_yml = KongYml.read()
    kong_yml.use_upstream(_addresses["upstream"])
    kong_yml.use_redis(_addresses["redis"])
    if "ca_certificates" in _addresses:
        kong_yml.config["merchant"]["ca_certificates"] = _addresses["ca_certificates"]
    kong_yml.resolve_vaults()
    kong_yml.limit()
    return kong_yml


@pytest.fixture
def kong_yml(_base_kong_yml: KongYml) -> KongYml:
    """The project's kong.yml with this session's addresses, the stub's credentials, and without rate limits."""
    return _base_kong_yml.copy()


@pytest.fixture(scope="session")
def _running(
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
    secrets: Secrets,
    _stub: StubClient,
    _base_kong_yml: KongYml,
    _addresses: dict[str, Any],
) -> Iterator[Gateway]:
    probe_url = f"{_addresses['upstream']}/__stub__/status"
    proxy_url, admin_url = pytestconfig.getoption("--proxy-url"), pytestconfig.getoption("--admin-url")
    if proxy_url:
        with kept_configuration(admin_url):
            yield Gateway(proxy_url, admin_url, probe_url)
        return
    gateway = EmbeddedGateway(tmp_path_factory.mktemp("gateway"), _base_kong_yml, probe_url=probe_url)
    yield gateway
    status = gateway.stop()
    assert_discreet(gateway, secrets)
    assert status == 0, f"the gateway ended with status {status}:\n{gateway.log()[-3000:]}"


@pytest.fixture
def gateway(_running: Gateway, _base_kong_yml: KongYml, stub: StubClient) -> Gateway:
    """The gateway of this session with the configuration `kong_yml`, whatever the test before has done to it."""
    if isinstance(_running, EmbeddedGateway) and not _running.alive:
        _running.restart()
    if _running.loaded != _base_kong_yml.as_json():
        _running.load(_base_kong_yml)
    return _running


@pytest.fixture
def embedded_gateway(gateway: Gateway) -> Iterator[EmbeddedGateway]:
    """The same gateway, for a test that stops, kills or reloads it; such a test is skipped with `--proxy-url`."""
    assert isinstance(gateway, EmbeddedGateway)
    yield gateway
    gateway.cont_plugin_server()
    if gateway.alive:
        gateway.wait_for_plugin_server()


@pytest.fixture
def start_gateway(
    tmp_path: Path, kong_yml: KongYml, stub: StubClient, secrets: Secrets, _addresses: dict[str, Any]
) -> Iterator[Callable[..., EmbeddedGateway]]:
    """Start an embedded gateway of the test's own: `start_gateway(kong_yml, workers=4)`."""
    with contextlib.ExitStack() as stack:
        started = 0

        def start(configuration: Any = kong_yml, **options: Any) -> EmbeddedGateway:
            nonlocal started
            started += 1
            options.setdefault("probe_url", f"{_addresses['upstream']}/__stub__/status")
            gateway = EmbeddedGateway(tmp_path / f"gateway-{started}", configuration, **options)
            stack.callback(assert_discreet, gateway, secrets)
            stack.callback(gateway.stop)
            return gateway

        yield start


@pytest.fixture
def pbx(gateway: Gateway, journal: Journal, secrets: Secrets) -> Pbx:
    """The demo PBX, `acme-manila`, at the gateway."""
    return Pbx(gateway.proxy_url, journal=journal, secrets=secrets)


@pytest.fixture
def pbx_at(journal: Journal, secrets: Secrets) -> Callable[..., Pbx]:
    """A PBX at another gateway or with another key: `pbx_at(gateway.proxy_url, key="…")`."""

    def at(proxy_url: str, **options: Any) -> Pbx:
        return Pbx(proxy_url, journal=journal, secrets=secrets, **options)

    return at


def assert_discreet(gateway: EmbeddedGateway, secrets: Secrets) -> None:
    """Its log has none of what no log may have."""
    found = secrets.found_in(gateway.log_ever())
    assert not found, "secrets in the log of gateway and plugin server:\n" + "\n".join(found)
