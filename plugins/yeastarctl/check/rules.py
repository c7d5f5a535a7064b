"""The rules of `config check`, of which docs/config-check.md is made: what, why, and the lines that correct it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """`correct`: lines to write. `severity`: what a finding of it is, or may be, as words for the page."""

    id: str
    group: str
    severity: str
    what: str
    why: str
    correct: str


FILE, KONG, PIECES, ROUTE, KEYS, VAULT, SENDING, LIMITS, REPORTS, OTHERS = (
    "The file itself",
    "What Kong refuses",
    "Reader, adapter and guard",
    "Route and service",
    "Consumers and API keys",
    "Vault references and secrets",
    "Orders and the Merchant account",
    "Rate limits and Redis",
    "Delivery reports and certificates",
    "Other plugins",
)

_ROUTE = """routes:
  - name: yeastar-sms
    paths: ["~/api/v1/integration/yeastar/sms/(verify|sendmessage)$"]
    strip_path: false"""
_THREE = """plugins:
  - name: yeastar-reader
  - name: yeastar-adapter
    config: {…}
  - name: yeastar-guard"""
_KEY = """consumers:
  - username: acme-manila
    api_keys: ["sha256:…"] # yeastarctl key new --consumer acme-manila"""
_REDIS = """rate_limit:
  policy: redis
  redis: {host: redis.example.com, port: 6379}"""
_KEY_AUTH = """- name: key-auth
  config: {key_names: [authorization], key_in_query: false, hide_credentials: true}"""
_REPORTS = """delivery_reports:
  enabled: true
  public_url: https://sms.example.com
  secret: "{vault://env/delivery-report-secret}" # openssl rand -hex 32"""
_MERCHANT = """merchant:
  username: "{vault://env/futuresms-username}"
  password: "{vault://env/futuresms-password}\""""


def _rules(group: str, *rules: tuple[str, str, str, str, str]) -> list[Rule]:
    return [Rule(name, group, *rest) for name, *rest in rules]


RULES: dict[str, Rule] = {
    rule.id: rule
    for rule in (
        *_rules(
            FILE,
            (
                "yaml",
                "error",
                "The file is not YAML (or JSON).",
                "Kong refuses it. Frequent causes: tabs, a vault reference without quotes, a template that has not been"
                " rendered.",
                'password: "{vault://env/futuresms-password}"',
            ),
            (
                "empty",
                "error",
                "There is nothing in the file.",
                "Kong refuses it, or serves nothing.",
                _THREE,
            ),
            (
                "not-kong",
                "error",
                "The file is something else: a list, a file for docker compose, an answer of the Admin API.",
                "Kong refuses it.",
                '_format_version: "3.0"',
            ),
            (
                "format-version",
                "error",
                '`_format_version` is missing, a number, unknown, or not "3.0".',
                "Kong refuses a missing version and a number. In the formats 1.1 and 2.1 a path with"
                " `~` means something"
                " else, and the route of a PBX matches nothing.",
                '_format_version: "3.0"',
            ),
            (
                "key-repeated",
                "warning",
                "A key appears twice in one place.",
                "YAML keeps the last one: the first is lost without any error.",
                "consumers: # once, with all of them below",
            ),
            (
                "deck-file",
                "hint",
                "The file has fields of decK, such as `_info`.",
                "Kong itself (`declarative_config`, `POST /config`) refuses them; `deck gateway sync` takes them.",
                "# deck gateway sync kong.yml",
            ),
            (
                "not-judged",
                "hint",
                "Something that this check knows only by name: another plugin's settings, a Secret, values of a chart.",
                "It is neither good nor bad. A running Kong can be asked for its own opinion.",
                "# yeastarctl config check kong.yml --admin-url http://127.0.0.1:8001",
            ),
            (
                "no-adapter",
                "error",
                "yeastar-adapter is in none of the files; or reader or guard run on a route without it.",
                "No PBX is served. Without the adapter, the guard refuses every request of the route.",
                _THREE,
            ),
        ),
        *_rules(
            KONG,
            (
                "unknown-field",
                "error",
                "A setting or a collection has a name that Kong does not know.",
                "Kong refuses the whole file. For anchors, Kong has the list `_ignore`.",
                "services: # not `service:`",
            ),
            (
                "type",
                "error",
                "A value is of the wrong type, or none of those that are allowed.",
                'Kong refuses the whole file. YAML reads 5 as a number, "5" as a text, yes and no as true and false.',
                "rate_limit: {second: 5}\ntags: [yeastar]",
            ),
            (
                "required",
                "error",
                "A setting is missing that has to be there.",
                "Kong refuses the whole file.",
                "consumers:\n  - username: acme-manila",
            ),
            (
                "value",
                "error",
                "A value is of the right type, and not one that Kong takes.",
                "Kong refuses the whole file; the text is Kong's own.",
                "rate_limit: {second: 5}",
            ),
            (
                "url",
                "error",
                "The `url` of a service is not a whole one.",
                "Kong refuses the file, or finds no host.",
                "url: https://api.futuresms.example",
            ),
            (
                "duplicate",
                "error",
                "Two entities have the same name, id, custom_id or key, or one plugin is twice in one place.",
                "Kong refuses the whole file.",
                "consumers:\n  - {username: acme-manila, custom_id: PBX-1001}",
            ),
            (
                "reference",
                "error",
                "A plugin or route refers to something that is not in the files.",
                "Kong refuses the whole file. `{name: …}` is decK's form; Kong wants the name alone.",
                "plugins:\n  - {name: prometheus, service: futuresms}",
            ),
            (
                "scope",
                "error",
                "A plugin belongs to a consumer (or route) to which it cannot belong.",
                "Kong refuses the whole file. yeastar-reader and yeastar-guard run for everybody on a route.",
                _THREE,
            ),
            (
                "lua-syntax",
                "error",
                "The Lua of a pre-function or post-function cannot be compiled.",
                "Kong refuses the whole file.",
                'access:\n  - |\n    kong.log.notice("one statement a line")',
            ),
            (
                "plugin-unknown",
                "error",
                "A plugin's name is misspelt.",
                "Kong refuses the file: it knows no plugin of that name.",
                "- name: yeastar-adapter",
            ),
            (
                "kong-refuses",
                "error",
                "The running Kong that was asked (`--admin-url`) refuses an entity.",
                "Its version, its plugins or their schemas differ from those of Kong 3.9 that this check knows.",
                "# see Kong's own words in the finding",
            ),
            (
                "refused",
                "error",
                "The adapter itself refuses the configuration when it starts.",
                "Every message is answered with 500/10007.",
                "# see the adapter's own words in the finding",
            ),
            (
                "plugin-lost",
                "warning",
                "An annotation `konghq.com/plugins` names a KongPlugin that is not in the files.",
                "The controller leaves the plugin out.",
                "konghq.com/plugins: yeastar-reader, yeastar-adapter, yeastar-guard",
            ),
        ),
        *_rules(
            PIECES,
            (
                "no-reader",
                "error",
                "The adapter runs on a route on which yeastar-reader does not run, or is disabled.",
                "The adapter works only on what the reader has left: every message is refused with 500/10007.",
                _THREE,
            ),
            (
                "unguarded",
                "error",
                "The adapter runs on a route on which yeastar-guard does not run, or is disabled.",
                "The guard carries the decision of the adapter out, and refuses without one:"
                " while the plugin server is"
                " down, Kong would let every request through to FutureSMS.",
                _THREE,
            ),
            (
                "adapter-off",
                "error",
                "yeastar-adapter is disabled for a whole route.",
                "Nobody is served. A single PBX is disabled in its entry.",
                "consumers:\n  - username: globex-cebu\n    enabled: false # the switch of one PBX",
            ),
            (
                "adapter-everywhere",
                "error",
                "The adapter runs on a route that takes no call of a PBX.",
                "It refuses every request there.",
                "plugins:\n  - {name: yeastar-adapter, route: yeastar-sms, config: {…}}",
            ),
            (
                "old-functions",
                "error",
                "A pre-function or post-function holds the Lua that release 0.1 had users paste.",
                "It does not work with the adapter of this release. Your own functions are left alone.",
                _THREE,
            ),
        ),
        *_rules(
            ROUTE,
            ("no-route", "error", "No route leads to the adapter.", "Nobody is served.", _ROUTE),
            (
                "not-routed",
                "error",
                "One of the two calls of a PBX is not routed.",
                "Without `sendmessage` no message gets through; without `verify` a channel cannot be"
                " saved in many PBXs.",
                _ROUTE,
            ),
            (
                "path-literal",
                "error",
                "A path with the signs of a regular expression does not begin with `~`.",
                "Kong matches it literally: it never matches a request.",
                _ROUTE,
            ),
            (
                "no-service",
                "error",
                "The route belongs to no service.",
                "There is nowhere to send an order.",
                "services:\n  - name: futuresms\n    url: https://api.futuresms.example\n    routes: […]",
            ),
            (
                "service-off",
                "error",
                "The service is disabled.",
                "Kong answers 404 on all its routes.",
                "enabled: true",
            ),
            (
                "preserve-host",
                "error",
                "`preserve_host` is on.",
                "FutureSMS gets the name of this gateway as its Host, which is not FutureSMS's. In"
                " Kubernetes it is on unless the"
                " annotation says otherwise.",
                'preserve_host: false\n# Ingress: konghq.com/preserve-host: "false"',
            ),
            (
                "route-plain",
                "warning",
                "The route takes http only, or takes it too where the file has certificates for https.",
                "The key of a PBX crosses the network unencrypted.",
                "protocols: [https]",
            ),
            (
                "buffering",
                "warning",
                "Buffering is disabled.",
                "Reader and adapter need the whole body.",
                "request_buffering: true",
            ),
            (
                "timeout-long",
                "warning",
                "A time limit of the service is above 30 s.",
                "While FutureSMS hangs, every message of every PBX waits.",
                "connect_timeout: 3000\nread_timeout: 10000",
            ),
            (
                "retries",
                "hint",
                "The service has retries.",
                "No order is sent twice: Kong repeats a POST only when the connection was refused."
                " But each attempt waits for"
                " `connect_timeout`, and the PBX with it.",
                "retries: 0",
            ),
            (
                "service-plain",
                "warning",
                "FutureSMS is called over http through public networks.",
                "Orders and tokens can be read on the way.",
                "url: https://api.futuresms.example",
            ),
            (
                "tls-unverified",
                "warning",
                "The certificate of FutureSMS is not checked.",
                "Anyone on the network path can read orders and tokens.",
                "tls_verify: true",
            ),
            (
                "service-path",
                "warning",
                "The service has a path.",
                "It is not used: `order.path` says where orders go.",
                "url: https://api.futuresms.example\n# in the adapter's config:\norder: {path: /api/v1/sms/sends}",
            ),
        ),
        *_rules(
            KEYS,
            (
                "no-consumers",
                "error",
                "The adapter has no entry under `consumers`.",
                "Every PBX gets 401/10004.",
                _KEY,
            ),
            (
                "all-off",
                "warning",
                "Every entry is disabled.",
                "Every PBX gets 403/10005.",
                "enabled: true",
            ),
            (
                "consumer-unknown",
                "error (warning where files may be missing)",
                "An entry's username is not that of a consumer of Kong.",
                "Its messages are refused with 403/10005. A `custom_id` alone is not enough: the"
                " adapter finds a consumer by"
                " its username.",
                "consumers: # at the top level\n  - username: acme-manila",
            ),
            (
                "consumer-twice",
                "error",
                "A username has two entries.",
                "The adapter refuses the whole configuration.",
                _KEY,
            ),
            ("no-key", "error", "An entry has no key.", "Nobody can authenticate as this PBX.", _KEY),
            (
                "key-weak",
                "error",
                "A key is blank, shorter than 20 characters, or holds white space.",
                "The adapter does not accept it.",
                _KEY,
            ),
            (
                "key-bearer",
                "error",
                "A key begins with `Bearer `.",
                "The adapter compares what follows that word in the header.",
                _KEY,
            ),
            (
                "key-malformed",
                "error",
                "A key looks like a hash, in a form that the adapter does not know.",
                "It matches nothing, or the text itself would be the key. Capitals do not matter.",
                _KEY,
            ),
            (
                "key-digits",
                "error",
                "A key is 64 hexadecimal digits, without `sha256:` in front.",
                "The adapter takes the digits themselves for the key. If they are a hash, the PBX"
                " that sends the key gets"
                " 401/10004, and anyone who can read the file can send.",
                _KEY,
            ),
            (
                "key-shared",
                "error",
                "Two consumers have the same key.",
                "The adapter refuses the whole configuration.",
                _KEY,
            ),
            ("key-twice", "hint", "A key appears twice in one entry.", "It does no harm.", _KEY),
            (
                "key-in-clear",
                "warning",
                "A key is in the file in plain text.",
                "Anyone who can read the file can send messages.",
                _KEY,
            ),
            ("demo-key", "warning", "The key is the one of the README.", "Everybody knows it.", _KEY),
            (
                "keys-unused",
                "warning",
                "`authentication: kong`, and there are API keys.",
                "They are not looked at.",
                "authentication: bearer",
            ),
        ),
        *_rules(
            VAULT,
            (
                "vault-malformed",
                "error",
                "A value looks like a vault reference, but is not a valid one.",
                "Kong uses it as it is, and FutureSMS gets it as the password.",
                _MERCHANT,
            ),
            (
                "vault-unknown",
                "error",
                "A reference names a vault that does not exist.",
                "Kong passes an empty value on, without any error.",
                _MERCHANT,
            ),
            (
                "vault-unset",
                "error (warning for a PBX that is off)",
                "The environment variable of a reference is not set here.",
                "Kong passes an empty value on, without any error.",
                "# FUTURESMS_PASSWORD=… in the environment of Kong",
            ),
            (
                "vault-not-here",
                "error",
                "A reference is in a setting in which Kong does not resolve references.",
                "Kong uses the text as it is.",
                "text_field: var",
            ),
            (
                "variable",
                "error",
                "`${NAME}` and its like: a variable of a shell, of docker compose, or of a template.",
                "Kong fills in vault references only.",
                _MERCHANT,
            ),
            (
                "password-in-clear",
                "warning",
                "A password or secret is in the file in plain text.",
                "Anyone who can read the file has it.",
                _MERCHANT,
            ),
            (
                "white-space",
                "error (warning around a password, hint for a line break)",
                "There is a line break or a space at the end of a value.",
                "The adapter takes line breaks off, and refuses an id with a space in it; key-auth"
                " takes nothing off. The block sign"
                " `|` keeps the last line break, `|-` does not.",
                _MERCHANT,
            ),
        ),
        *_rules(
            SENDING,
            (
                "not-configured",
                "error (warning for a PBX that is off)",
                "A PBX has no sender, template or Merchant account.",
                "Its messages are refused with 403/10005.",
                f"order: {{template_id: TPL1001, sender_id: SID-1}}\n{_MERCHANT}",
            ),
            (
                "blank",
                "error (warning for a PBX that is off)",
                "One of them is blank.",
                "A blank value counts as missing.",
                "order: {template_id: TPL1001, sender_id: SID-1}",
            ),
            (
                "template-form",
                "error",
                "A template id has not 4 to 16 characters.",
                "FutureSMS refuses every order.",
                "template_id: TPL1001",
            ),
            (
                "sender-form",
                "error",
                "A sender id is neither `SID-…` nor `AUTO`.",
                "FutureSMS refuses every order.",
                "sender_id: SID-1001",
            ),
            (
                "sender-number",
                "error",
                "A number under `senders` is not in E.164 form.",
                "No `from` of a PBX matches it.",
                'senders: {"+63280000001": SID-1001}',
            ),
            (
                "senders-empty",
                "error",
                "`senders` is given and empty.",
                "Every `from` is refused with 403/10005.",
                'senders: {"+63280000001": SID-1001}',
            ),
            (
                "text-field",
                "error",
                "`order.text_field` is a field that an order has anyway.",
                "The adapter refuses the whole configuration.",
                "text_field: var",
            ),
            (
                "text-rules",
                "hint",
                "`text_limit` can never be reached beside `sms_parts`.",
                "One of the two has no effect.",
                "sms_parts: 1",
            ),
            (
                "order-path",
                "error",
                "`order.path` is not a path.",
                "No order reaches FutureSMS.",
                "path: /api/v1/sms/sends",
            ),
            (
                "country",
                "error (warning for small letters)",
                "`recipients.countries` names a region that does not exist.",
                "No number is in it. The United Kingdom is GB.",
                "recipients: {countries: [PH, SG, GB]}",
            ),
            (
                "countries",
                "hint",
                "`recipients.countries` is not set.",
                "A stolen key can send to every country, the expensive ones too.",
                "recipients: {countries: [PH]}",
            ),
            (
                "merchant-address",
                "error (hint for another path)",
                "`merchant.base_url` is not an address, has a user name, a query or a fragment in it, or ends with the "
                "path of a call.",
                "No log-in is possible. Another path is taken: log-ins go below it, orders to `order.path`, which is "
                "a whole path, of the same host.",
                "base_url: https://api.futuresms.example",
            ),
            (
                "merchant-plain",
                "warning",
                "The password goes to FutureSMS over http.",
                "It can be read on the way.",
                "base_url: https://api.futuresms.example",
            ),
            (
                "merchant-half",
                "warning",
                "A consumer overrides only one half of the log-in.",
                "The other half is that of another account.",
                _MERCHANT,
            ),
            (
                "timeout-beyond-kong",
                "error (warning where only the sum is too long)",
                "`merchant.timeout_ms` is longer than Kong waits for the adapter.",
                "Kong gives up after `nginx_http_lua_socket_read_timeout` (5 s in this project's"
                " kong.conf) and refuses a message"
                " whose order may still be placed; its user sends it again.",
                "merchant: {timeout_ms: 3000}",
            ),
        ),
        *_rules(
            LIMITS,
            (
                "no-limit",
                "warning",
                "There is no rate limit.",
                "One PBX, or one stolen key, can send as fast as it likes.",
                "rate_limit: {second: 5, minute: 300}",
            ),
            (
                "rates-contradict",
                "warning",
                "A longer window allows less than a shorter one.",
                "The shorter one has no effect.",
                "rate_limit: {second: 5, minute: 300}",
            ),
            (
                "rates-disagree",
                "warning",
                "The limit per minute is below 60 times the limit per second.",
                "A PBX that keeps to the rate per second is refused after a while, and does not send"
                " that message again.",
                "rate_limit: {second: 5, minute: 300} # minute = 60 x second",
            ),
            (
                "redis-host",
                "error",
                "`redis.host` is a URL, has a port, or is a socket's path.",
                "No server is found: each node counts for itself, or all messages are refused.",
                _REDIS,
            ),
            (
                "redis-login",
                "error",
                "A user name without a password.",
                "Redis refuses the log-in.",
                'redis: {username: kong, password: "{vault://env/redis-password}"}',
            ),
            (
                "redis-tls",
                "warning",
                "TLS to Redis is off although certificates are named, or is not verified.",
                "Anyone on the network path can read and change the counts.",
                "redis: {ssl: true, ssl_verify: true}",
            ),
            (
                "redis-unused",
                "warning",
                "There is a Redis server, and `policy` is not `redis`.",
                "Each node counts for itself.",
                _REDIS,
            ),
            (
                "redis-timeout",
                "hint",
                "A message may wait for Redis for seconds.",
                "While Redis hangs, each one does.",
                "redis: {timeout_ms: 200}",
            ),
            (
                "metrics-address",
                "warning",
                "`metrics.listen` is not an address.",
                "No metrics are served.",
                'metrics: {listen: "127.0.0.1:9542"}',
            ),
        ),
        *_rules(
            REPORTS,
            (
                "reports-incomplete",
                "warning",
                "Delivery reports are on, without `public_url` or `secret`.",
                "FutureSMS has nowhere to send a report.",
                _REPORTS,
            ),
            (
                "reports-address",
                "warning",
                "`public_url` is plain http, or leads into a private network.",
                "FutureSMS calls public https addresses only.",
                _REPORTS,
            ),
            (
                "reports-secret",
                "warning",
                "The secret is shorter than 32 characters, or has fewer than 8 different ones.",
                "It can be guessed, so the adapter asks for no reports.",
                _REPORTS,
            ),
            (
                "reports-not-routed",
                "warning",
                "Delivery reports are on, and no route takes them, or an authentication plugin refuses them.",
                "FutureSMS has no key of yours: the address of each report is its own proof.",
                "routes:\n  - name: yeastar-reports\n    paths: [/api/v1/integration/yeastar/sms/reports/]\n"
                "    plugins: [{name: yeastar-reader}, {name: yeastar-adapter, config: {…}}, {name: yeastar-guard}]",
            ),
            (
                "reports-twice",
                "warning",
                "`order.dlr_address` stands beside `delivery_reports`.",
                "Orders carry the gateway's own address.",
                _REPORTS,
            ),
            (
                "dlr-address",
                "warning",
                "`order.dlr_address` is not a public https address.",
                "FutureSMS calls public https addresses only, and refuses others.",
                'order: {dlr_address: "https://reports.example.com/dlr"}',
            ),
            (
                "ca-file",
                "error or warning",
                "A file of certificates is not there, cannot be used, or is not a path.",
                "Without certificates to trust, no connection is made, and messages are refused.",
                "merchant: {ca_certificates: /etc/kong/ca.pem}",
            ),
            (
                "certificate-ended",
                "error",
                "A certificate has expired.",
                "PBXs, or the adapter, trust it no more.",
                "certificates:\n  - cert: … # a renewed one",
            ),
            (
                "certificate-ends",
                "warning",
                "A certificate ends within 30 days.",
                "Then PBXs, or the adapter, trust it no more.",
                "certificates:\n  - cert: … # a renewed one",
            ),
        ),
        *_rules(
            OTHERS,
            (
                "authentication-twice",
                "error",
                "An authentication plugin of Kong's runs before the adapter.",
                "It refuses every PBX that has none of its credentials.",
                "authentication: kong # in the adapter's config",
            ),
            (
                "no-authentication",
                "error",
                "`authentication: kong`, and no authentication plugin runs on the route.",
                "Every PBX gets 401/10004.",
                _KEY_AUTH,
            ),
            (
                "key-names",
                "error",
                "key-auth does not look at the header `Authorization`.",
                "Every PBX gets 401/10004.",
                _KEY_AUTH,
            ),
            (
                "credential-form",
                "error",
                "A credential of key-auth does not begin with `Bearer `.",
                "key-auth compares the whole header, and a PBX sends `Authorization: Bearer KEY`.",
                "keyauth_credentials:\n  - key: Bearer KEY",
            ),
            (
                "hide-credentials",
                "warning",
                "key-auth leaves the key in the request.",
                "Later plugins see and log it.",
                _KEY_AUTH,
            ),
            (
                "open",
                "error",
                "The `anonymous` consumer of an authentication plugin is one that the adapter serves.",
                "Anybody can send messages on your account.",
                _KEY_AUTH,
            ),
            (
                "other-answers",
                "error",
                "A plugin on the route answers in place of FutureSMS.",
                "No message is sent.",
                "# take it off the PBX's route",
            ),
            (
                "body-limit",
                "warning",
                "request-size-limiting allows less than a legal message.",
                "2000 characters as \\u escapes are 24 KB.",
                "config: {allowed_payload_size: 64, size_unit: kilobytes}",
            ),
            (
                "rate-limiting-beside",
                "warning (hint where it is the higher one)",
                "Kong's rate-limiting counts the PBX's requests too.",
                "The lower limit refuses, and a PBX does not send a refused message again.",
                "# leave the limit to the adapter:\nrate_limit: {second: 5, minute: 300}",
            ),
        ),
    )
}
