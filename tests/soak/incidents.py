"""What happens while the load goes on, and when."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.harness.gateway import EmbeddedGateway, Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.redis import RedisServer
from tests.harness.stub import StubServer


@dataclass(frozen=True)
class Incident:
    """Something that is done at a moment, given as a share of the whole time."""

    moment: float
    name: str
    act: Callable[[], object]


@dataclass
class Stage:
    """Everything that an incident can happen to. The commands are for a gateway that runs already."""

    gateway: Gateway
    stub: StubServer
    redis: RedisServer
    kong_yml: KongYml
    kill_command: str | None = None
    reload_command: str | None = None

    def incidents(self) -> Sequence[Incident]:
        """The programme; each kind comes twice, so that it meets what the other kinds have left."""
        kinds: list[tuple[str, Callable[[], object]]] = [
            ("configuration", self.change_configuration),
            ("Redis restarted", self.restart_redis),
            ("plugin server killed", self.kill_plugin_server),
            ("kong reload", self.reload),
            ("tokens expired", self.stub.expire_tokens),
        ]
        programme = [*kinds, kinds[2], kinds[0], kinds[4], kinds[1], kinds[3]]
        return [
            Incident((n + 1) / (len(programme) + 1), name, act) for n, (name, act) in enumerate(programme)
        ]

    def change_configuration(self) -> None:
        entry = self.kong_yml.entry("acme-manila")
        entry["sender_id"] = "SID-1002" if entry.get("sender_id") == "SID-1001" else "SID-1001"
        self.gateway.load(self.kong_yml)

    def restart_redis(self) -> None:
        """Two seconds without it; what it had counted is gone."""
        self.redis.kill()
        time.sleep(2)
        self.redis.start()

    def kill_plugin_server(self) -> None:
        if isinstance(self.gateway, EmbeddedGateway):
            self.gateway.kill_plugin_server()
        else:
            self._run(self.kill_command)

    def reload(self) -> None:
        if isinstance(self.gateway, EmbeddedGateway):
            self.gateway.reload()
        else:
            self._run(self.reload_command)

    def _run(self, command: str | None) -> None:
        if command is not None:
            subprocess.run(["sh", "-c", command], check=True, timeout=60, stdout=subprocess.DEVNULL)
