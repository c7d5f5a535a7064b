"""What a PBX is told when all is well: bodies of answers with status 200 (contract, section 1)."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii

VERIFIED = '{"data": {"status": "ok"}}'
"""The key is good. The PBX looks at `data.status`."""


def sent(order_id: str) -> str:
    """The message became the FutureSMS order of this id."""
    return f'{{"data": {{"id": {encode_basestring_ascii(order_id)}}}}}'
