"""Each security-relevant line, broken: what is changed, and the test that is named after the promise and notices it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """`before` stands once in `path`; with `after` in its place, `test` (files, and `-k` for pytest) fails."""

    promise: str
    path: str
    before: str
    after: str
    test: str


ADAPTER = "plugins/yeastar_adapter"
READER = "kong/plugins/yeastar-reader"
GUARD = "kong/plugins/yeastar-guard/handler.lua"
THREE = "tests/acceptance/test_three_plugins.py"

MUTANTS = (
    # The reader
    Mutant(
        "the key leaves the request before any later plugin",
        f"{READER}/handler.lua",
        '"Authorization", "Proxy-Authorization"',
        '"Proxy-Authorization"',
        f"{THREE} -k sees_neither_key_nor_text",
    ),
    Mutant(
        "the text leaves the request before any later plugin",
        f"{READER}/handler.lua",
        'body and rep(" ", body_bytes) or ""',
        'body or ""',
        f"{THREE} -k sees_neither_key_nor_text",
    ),
    Mutant(
        "a request goes nowhere until the guard has its turn",
        f"{READER}/handler.lua",
        "  forwarding.hold(state)\n",
        "",
        f"{THREE} -k without_one_of_the_three_a_message",
    ),
    Mutant(
        "a body that breaks off is answered in Yeastar's form",
        f"{READER}/answer.lua",
        "  if state and not state.body_read then\n",
        "  if false then\n",
        "tests/acceptance/test_foreign_answers.py -k body_that_breaks_off",
    ),
    Mutant(
        "nobody else can sign an answer",
        f"{READER}/answer.lua",
        "kong.response.get_header(SIGNATURE) == state.nonce",
        "kong.response.get_header(SIGNATURE) ~= nil",
        f"{THREE} -k signed_by_another_plugin",
    ),
    Mutant(
        "FutureSMS's 401 about a token never blames the PBX's key",
        f"{READER}/answer.lua",
        'elseif source == "service" then',
        "elseif false then",
        "tests/faults/test_answers_past_the_adapter.py -k 401",
    ),
    Mutant(
        "what FutureSMS says about itself stays inside",
        f"{READER}/answer.lua",
        "      ngx.header[name] = before and before[name]\n",
        "",
        "tests/acceptance/test_futuresms.py",
    ),
    # The guard
    Mutant(
        "only a decision of this very request is carried out",
        GUARD,
        "decision.nonce ~= state.nonce",
        "false",
        f"{THREE} -k cannot_put_a_decision",
    ),
    Mutant(
        "a reader of another interface is refused",
        GUARD,
        "state.interface ~= INTERFACE",
        "false",
        "tests/faults/test_versions.py -k lua_of_another_interface",
    ),
    Mutant(
        "FutureSMS learns nothing of the PBX but the message",
        GUARD,
        "  forwarding.strip(ORDER_HEADERS)\n",
        "",
        f"{THREE} -k learns_nothing",
    ),
    Mutant(
        "the forwarding headers stay inside",
        f"{READER}/forwarding.lua",
        '  var.upstream_via = ""\n',
        "",
        f"{THREE} -k learns_nothing",
    ),
    Mutant(
        "a client cannot make Kong drop the order's token",
        f"{READER}/forwarding.lua",
        "  ngx.ctx.cached_request_headers = nil\n",
        "",
        "tests/acceptance",
    ),
    Mutant(
        "a client cannot switch the response phase off",
        f"{READER}/forwarding.lua",
        '  var.upstream_upgrade = ""\n',
        "",
        "tests/acceptance",
    ),
    # Who is it, may it
    Mutant(
        "an unknown key is refused",
        f"{ADAPTER}/authentication.py",
        'self._settings.keys.get(digest, (None, ""))',
        "next(iter(self._settings.keys.values()))",
        "tests/unit/adapter/test_authentication.py",
    ),
    Mutant(
        "Kong's anonymous consumer is nobody",
        f"{ADAPTER}/authentication.py",
        "if not request.credential:",
        "if False:",
        "tests/unit/adapter/test_authentication.py -k without_a_credential",
    ),
    Mutant(
        "a switched-off consumer is refused",
        f"{ADAPTER}/plugin.py",
        "if not consumer.enabled:",
        "if False:",
        "tests/unit/adapter/test_adapter.py -k switched_off",
    ),
    Mutant(
        "a consumer that Kong does not have is refused",
        f"{ADAPTER}/plugin.py",
        "    if not entity:\n",
        "    if False:\n",
        "tests/unit/adapter/test_adapter.py -k kong_does_not_have",
    ),
    Mutant(
        "a request over its rate is refused",
        f"{ADAPTER}/plugin.py",
        "if not result.allowed:",
        "if False:",
        "tests/acceptance/test_rate_limits.py",
    ),
    Mutant(
        "without the reader nothing is decided",
        f"{ADAPTER}/request.py",
        'if left.get("interface") != INTERFACE:',
        "if False:",
        "tests/unit/adapter/test_adapter.py -k another_interface",
    ),
    Mutant(
        "what the guard has not carried out is no order",
        f"{ADAPTER}/plugin.py",
        "if not upstream.carried:",
        "if False:",
        "tests/unit/adapter/test_adapter.py -k without_the_guard",
    ),
    # FutureSMS and Redis
    Mutant(
        "FutureSMS's certificate is verified",
        f"{ADAPTER}/trust.py",
        "            context = self._context\n            if context is None or seen != self._seen:\n",
        "            return self.unverified()\n            if context is None or seen != self._seen:\n",
        "tests/unit/futuresms/test_tls.py",
    ),
    Mutant(
        "Redis's certificate and host name are checked",
        f"{ADAPTER}/limits/tls.py",
        "self._trust.context() if self._verify else self._trust.unverified()",
        "self._trust.unverified()",
        "tests/limits/test_access.py -k another_host",
    ),
    # Delivery reports
    Mutant(
        "a report whose MAC is wrong is refused",
        f"{ADAPTER}/delivery_reports/address.py",
        "or not hmac.compare_digest(mac, self._mac(content))",
        "or False",
        "tests/unit/delivery_reports",
    ),
    Mutant(
        "a MAC is compared in constant time",
        f"{ADAPTER}/delivery_reports/address.py",
        "not hmac.compare_digest(mac, self._mac(content))",
        "mac != self._mac(content)",
        "tests/unit/delivery_reports/test_address.py -k constant_time",
    ),
    # The plugin server
    Mutant(
        "code that spins for ever is interrupted",
        "plugins/kong_plugin_server/watchdog.py",
        "        signal.signal(signal.SIGALRM, self._interrupt)\n",
        "        signal.signal(signal.SIGALRM, signal.SIG_IGN)\n",
        "tests/unit/plugin_server/test_handlers.py -k spins_is_interrupted",
    ),
)
