"""What a PBX is told when all is well (contract, section 1)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reply:
    """An answer with status 200: a JSON body, and headers beside the content type."""

    body: str
    headers: dict[str, str] = field(default_factory=dict)


def verified(headers: dict[str, str]) -> Reply:
    """The key is good. The PBX looks at `data.status`."""
    return Reply('{"data": {"status": "ok"}}', headers)


def sent(order_id: str) -> Reply:
    """The message became the FutureSMS order of this id."""
    return Reply(json.dumps({"data": {"id": order_id}}))
