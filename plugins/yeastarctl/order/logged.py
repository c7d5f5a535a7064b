"""Which order a request of a PBX became, as far as the adapter's log knows it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

_NAMES = ("request_id", "message_request_id", "client_order_id", "order_id", "code")
_WORD = re.compile(r"(?<![\w-])(" + "|".join(_NAMES) + r')=(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))')
_MESSAGE = re.compile(r"yeastar_adapter\.\w+: (.*?)(?: \w+=|$)")
_ID = re.compile(r"[0-9A-Za-z_.:-]{1,128}")


@dataclass
class Logged:
    """What the log says of one message; `refusal`: why it became no order."""

    request_id: str = ""
    client_order_id: str = ""
    order_id: str = ""
    refusal: str = ""


class Log:
    """The adapter's lines, in either format, alone or in Kong's error log."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._known: dict[str, Logged] = {}
        for line in lines:
            self._read(line)

    def find(self, any_id: str) -> Logged | None:
        """By `X-Kong-Request-Id`, `client_order_id` or order id."""
        return self._known.get(any_id)

    def _read(self, line: str) -> None:
        fields, message = _fields(line)
        # The line of a report has an id of its own, and that of the message that it is about.
        about = fields.get("message_request_id") or fields.get("request_id", "")
        ids = [fields.get("client_order_id", ""), fields.get("order_id", ""), about]
        ids = [one for one in ids if _ID.fullmatch(one)]
        if not about or not ids:
            return
        # The lines of one message may come in any order, and from several nodes.
        found = next((self._known[one] for one in ids if one in self._known), None) or Logged()
        found.request_id = found.request_id or about
        found.client_order_id = found.client_order_id or fields.get("client_order_id", "")
        found.order_id = found.order_id or fields.get("order_id", "")
        if (
            "code" in fields
            and "message_request_id" not in fields
            and message.startswith(("refused", "failed"))
        ):
            found.refusal = f"{fields['code']}, {message}"
        for one in ids:
            self._known[one] = found


def _fields(line: str) -> tuple[dict[str, str], str]:
    """The fields of a line that are looked for, and its message."""
    if "_id" not in line:
        return {}, ""
    start, end = line.find("{"), line.rfind("}")
    if 0 <= start < end:
        try:
            record = json.loads(line[start : end + 1])
        except ValueError:
            record = None
        if isinstance(record, dict):
            fields = {name: str(record[name]) for name in _NAMES if record.get(name) is not None}
            return fields, str(record.get("message", ""))
    # Kong writes an id of its own into lines, as `request_id: "…"`: no fact of the adapter's.
    message = _MESSAGE.search(line)
    fields = {match[1]: match[2] or match[3] or "" for match in _WORD.finditer(line)}
    return fields, message[1] if message else ""
