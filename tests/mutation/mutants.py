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
FOREIGN = "tests/acceptance/test_foreign_answers.py"
CONNECTIONS = f"{ADAPTER}/futuresms/connections.py"

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
        f"{FOREIGN} -k body_that_breaks_off",
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
        "tests/acceptance/test_futuresms.py -k own_headers",
    ),
    Mutant(
        "no condition of a client puts an answer of nginx in the adapter's place",
        f"{READER}/handler.lua",
        '  "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",\n',
        "",
        f"{THREE} -k no_condition_of_the_pbx",
    ),
    Mutant(
        "what the reader left is gone when the plugins after the adapter run",
        f"{READER}/handler.lua",
        "the plugins between the adapter and the guard.\n  kong.ctx.shared.yeastar_request = nil\n",
        "the plugins between the adapter and the guard.\n",
        f"{THREE} -k sees_neither_key_nor_text",
    ),
    Mutant(
        "of two decisions neither is carried out",
        f"{READER}/handler.lua",
        "state.contested = state.decision ~= nil",
        "state.contested = false",
        f"{THREE} -k only_one_and_of_this_interface",
    ),
    Mutant(
        "nobody can guess a nonce",
        f"{READER}/exchange.lua",
        "to_hex(random_bytes(16))",
        "'0'",
        f"{THREE} -k nonce_cannot_be_guessed",
    ),
    Mutant(
        "a held request goes where nobody can listen",
        f"{READER}/forwarding.lua",
        '"127.0.0.1", 0',
        '"127.0.0.1", 80',
        f"{THREE} -k nobody_can_listen",
    ),
    Mutant(
        "the query of the PBX does not reach FutureSMS",
        f"{READER}/forwarding.lua",
        '  ngx.req.set_uri_args("")\n',
        "",
        "tests/acceptance/test_messages.py -k query_string_goes_nowhere",
    ),
    Mutant(
        "the address of the PBX does not reach FutureSMS",
        f"{READER}/forwarding.lua",
        '  var.upstream_x_forwarded_for = ""\n',
        "",
        f"{THREE} -k learns_nothing",
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
        f"{THREE} -k own_copy_of_the_headers",
    ),
    Mutant(
        "a client cannot switch the response phase off",
        f"{READER}/forwarding.lua",
        '  var.upstream_upgrade = ""\n',
        "",
        f"{FOREIGN} -k no_header_of_the_pbx",
    ),
    Mutant(
        "an adapter of another interface is refused",
        GUARD,
        "decision.interface ~= INTERFACE",
        "false",
        f"{THREE} -k only_one_and_of_this_interface",
    ),
    Mutant(
        "FutureSMS gets the order, whatever a plugin has put in its place",
        GUARD,
        "  request.set_raw_body(decision.body)\n",
        "",
        f"{THREE} -k what_a_plugin_between_does",
    ),
    Mutant(
        "the order goes where the adapter says, whatever a plugin says",
        GUARD,
        "  request.set_path(decision.path)\n",
        "",
        f"{THREE} -k what_a_plugin_between_does",
    ),
    Mutant(
        "an order has the token of its session and no other",
        GUARD,
        '  ngx.req.set_header("Authorization", "Bearer " .. decision.token)\n',
        "",
        f"{THREE} -k what_a_plugin_between_does",
    ),
    # Who is it, may it
    Mutant(
        "an unknown key is refused",
        f"{ADAPTER}/authentication.py",
        'self._settings.keys.get(digest, (None, ""))',
        "next(iter(self._settings.keys.values()))",
        "tests/unit/adapter/test_authentication.py -k every_other_header",
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
        "tests/acceptance/test_rate_limits.py -k so_many_and_no_more",
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
    Mutant(
        "a header with anything beside the key is refused",
        f"{ADAPTER}/authentication.py",
        "_BEARER.fullmatch(header)",
        "_BEARER.match(header)",
        "tests/unit/adapter/test_authentication.py -k every_other_header",
    ),
    Mutant(
        "a key that is too short to be a secret opens to nobody",
        f"{ADAPTER}/settings.py",
        "elif len(key) < PLAIN_KEY_AT_LEAST:",
        "elif False:",
        "tests/unit/config/test_settings.py -k blank_short_or_malformed",
    ),
    Mutant(
        "two consumers with one key are refused",
        f"{ADAPTER}/settings.py",
        "if other is not consumer:",
        "if False:",
        "tests/unit/config/test_settings.py -k two_consumers_with_one_key",
    ),
    Mutant(
        "who is not among the senders may not send",
        f"{ADAPTER}/plugin.py",
        "if sender_id is None:",
        "if False:",
        "tests/acceptance/test_senders.py -k others_have_no_permission",
    ),
    Mutant(
        "an order that is taken ends the trouble of its account",
        f"{ADAPTER}/plugin.py",
        "            order_taken(upstream.token)\n",
        "",
        "tests/unit/adapter/test_adapter.py -k known_to_be_good",
    ),
    # FutureSMS and Redis
    Mutant(
        "few connections to FutureSMS are made at once",
        f"{ADAPTER}/futuresms/connections.py",
        "_CONNECTING = 8",
        "_CONNECTING = 20",
        "tests/unit/futuresms/test_tls.py -k few_connections",
    ),
    Mutant(
        "one looks again for all who wait in the line",
        f"{ADAPTER}/futuresms/line.py",
        "if self._waiting and not self._looking and",
        "if self._waiting and",
        "tests/unit/futuresms/test_line.py -k looks_again",
    ),
    Mutant(
        "FutureSMS's certificate is verified",
        f"{ADAPTER}/trust.py",
        "            context = self._context\n            if context is None or seen != self._seen:\n",
        "            return self.unverified()\n            if context is None or seen != self._seen:\n",
        "tests/unit/futuresms/test_tls.py -k unknown_authority",
    ),
    Mutant(
        "Redis's certificate and host name are checked",
        f"{ADAPTER}/limits/tls.py",
        "self._trust.context() if self._verify else self._trust.unverified()",
        "self._trust.unverified()",
        "tests/limits/test_access.py -k another_host",
    ),
    Mutant(
        "every TLS context checks the host name",
        f"{ADAPTER}/trust.py",
        "    context._sessions = {}\n",
        "    context._sessions = {}\n    context.check_hostname = False\n",
        "tests/unit/test_trust.py -k verifies_chain_and_host_name",
    ),
    Mutant(
        "a redirect is not followed with the password",
        CONNECTIONS,
        "                response = connection.getresponse()\n",
        "                response = connection.getresponse()\n"
        "                if response.status == 307:\n"
        "                    path = urlsplit(response.headers['location']).path\n"
        "                    return self.post(path, body, headers, timeout)\n",
        "tests/unit/futuresms/test_tls.py -k redirect_is_not_followed",
    ),
    Mutant(
        "proxies of the environment are not used",
        CONNECTIONS,
        "            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)\n",
        "            from urllib.request import getproxies\n"
        "            proxy = urlsplit(getproxies().get(self._scheme, ''))\n"
        "            self._host, self._port = proxy.hostname or self._host, proxy.port or self._port\n"
        "            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)\n",
        "tests/unit/futuresms/test_tls.py -k proxies_and_netrc",
    ),
    Mutant(
        "a connection is used no longer than its certificates are trusted",
        CONNECTIONS,
        'believed = context is None or getattr(connection.sock, "context", None) is context',
        "believed = True",
        "tests/unit/futuresms/test_tls.py -k bundle_that_changes",
    ),
    # Delivery reports
    Mutant(
        "a report whose MAC is wrong is refused",
        f"{ADAPTER}/delivery_reports/address.py",
        "or not hmac.compare_digest(mac, self._mac(content))",
        "or False",
        "tests/unit/delivery_reports/test_address.py -k every_character",
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
    Mutant(
        "no secret of a configuration is in a traceback",
        "plugins/kong_plugin_server/redaction.py",
        "text = text.replace(secret, MASK)",
        "pass",
        "tests/unit/plugin_server/test_handlers.py -k no_secret",
    ),
)
