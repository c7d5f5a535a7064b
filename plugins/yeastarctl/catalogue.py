"""What each answer of the gateway means to the people who see it.

Codes, statuses and titles are those of `yeastar.errors`; here stand the words: what a PBX user sees,
the causes, who can fix each, where to look. `yeastarctl verify` and `send` print them, and docs/errors.md
is made from them.
"""

from dataclasses import dataclass

PBX = "PBX administrator"
GATEWAY = "gateway administrator"
FUTURESMS = "FutureSMS account owner"


@dataclass(frozen=True)
class Cause:
    """One reason for an answer, who can remove it, and where to look first."""

    what: str
    who: str
    look: str


@dataclass(frozen=True)
class Explanation:
    """One code: what a user of the PBX sees and what makes it, the likeliest first."""

    code: str
    seen: str
    causes: tuple[Cause, ...]


EXPLANATIONS: dict[str, Explanation] = {
    explanation.code: explanation
    for explanation in (
        Explanation(
            "10001",
            "The message is marked as failed at once; other recipients work.",
            (
                Cause(
                    "`to` is not in E.164 form (`+`, country code, number, digits only), or not a number"
                    " that its country can have: too short, too long, a zero left after the country code"
                    " (`+6309171234567`), the country code twice. `detail` names the field and the reason, and"
                    " the number that was probably meant.",
                    PBX,
                    "the recipient as the user typed it; whether the PBX adds the country code",
                ),
                Cause(
                    "`from` is not in E.164 form: the number of the channel was entered without `+`.",
                    PBX,
                    "Messaging > Message Channel > the channel > Messaging Settings > the number",
                ),
                Cause(
                    "`recipient_check` is `valid` or `mobile` and the number is a land line or not in use.",
                    GATEWAY,
                    "`recipient_check` in the plugin's config; the adapter's log line has the number, masked",
                ),
                Cause(
                    "FutureSMS refused the recipient (`VALIDATION_ERROR` about `phone_number`).",
                    FUTURESMS,
                    "the adapter's log line (`upstream_request_id` is FutureSMS's); the account's country settings",
                ),
            ),
        ),
        Explanation(
            "10002",
            "The message is marked as failed at once.",
            (
                Cause(
                    "The text is empty or has nothing that a phone shows, has control characters in it, or is"
                    " longer than 2000 characters. `detail` names the field and the reason.",
                    PBX,
                    "the message as the user wrote it",
                ),
                Cause(
                    "The text is longer than `order.text_limit`, or takes more SMS than `order.sms_parts`: one holds"
                    " 160 characters, or 70 with a single emoji, curly apostrophe or other character that the GSM"
                    " alphabet lacks. `detail` says how long it is and may be.",
                    PBX,
                    "the message as the user wrote it; `yeastarctl send` says how many SMS a text is",
                ),
                Cause(
                    "FutureSMS refused the text or the template: `{{var}}` of a template takes 24"
                    " characters unless"
                    " the account's template allows more.",
                    FUTURESMS,
                    "`order.template_id` and the template's limits at FutureSMS; the adapter's log line"
                    " (`upstream_status`, `upstream_request_id`)",
                ),
                Cause(
                    "The request is not what a PBX sends: not JSON, a field of the wrong type, another"
                    " method.",
                    PBX,
                    "the Send Message URL in the channel; what stands between the PBX and the gateway",
                ),
            ),
        ),
        Explanation(
            "10003",
            "Messages with a picture or a file fail; text messages work.",
            (
                Cause(
                    "The message has media (`media_urls`): FutureSMS sends text only.",
                    PBX,
                    "tell the users of the channel to send text only",
                ),
            ),
        ),
        Explanation(
            "10004",
            "The channel cannot be saved, or its status is not connected, and every message fails.",
            (
                Cause(
                    "The API Key in the channel is not the key that the gateway expects: mistyped, cut"
                    " off, with a"
                    " space, or rotated out.",
                    PBX,
                    "Messaging > Message Channel > the channel > Authentication > API Key; try it with"
                    " `yeastarctl verify`",
                ),
                Cause(
                    "The gateway has no usable key for this PBX: the vault variable is not set, or the"
                    " key is blank"
                    " or too short.",
                    GATEWAY,
                    "`yeastarctl config check kong.yml` in Kong's environment; the adapter's log names"
                    " the setting"
                    " and the consumer",
                ),
                Cause(
                    "With `authentication: kong`: the Kong auth plugin found no credential.",
                    GATEWAY,
                    "the consumer's credentials in Kong; `key_names: [authorization]` and `Bearer <key>`",
                ),
            ),
        ),
        Explanation(
            "10005",
            "Every message fails, or every message from one number; the channel itself may look healthy.",
            (
                Cause(
                    "The PBX is disabled at the gateway (`enabled: false`).",
                    GATEWAY,
                    "the consumer's entry in the plugin's config, or the consumer's own plugin instance",
                ),
                Cause(
                    "`senders` is configured and the PBX's number is not in it, or no sender or template is"
                    " configured at all.",
                    GATEWAY,
                    "`senders`, `sender_id`, `template_id` of the consumer and under `order`",
                ),
                Cause(
                    "The recipient is in a country that `recipients.countries` leaves out. Many of them: a stolen key"
                    " may be in use.",
                    GATEWAY,
                    "the adapter's log line (`country`); metric `yeastar_adapter_destinations_total`; the PBX's own"
                    " log of messages",
                ),
                Cause(
                    "The consumer is configured in the plugin but does not exist in Kong.",
                    GATEWAY,
                    "`consumers:` at the top level of kong.yml; `yeastarctl config check`",
                ),
                Cause(
                    "FutureSMS refuses the login of the merchant account (wrong password, account"
                    " suspended).",
                    GATEWAY,
                    "`merchant` in the plugin's config and its vault variables; `yeastarctl doctor`",
                ),
                Cause(
                    "The sender or template is not approved, or the account has no balance or no permission"
                    " (FutureSMS 402, 403, 404).",
                    FUTURESMS,
                    "the adapter's log line (`upstream_status`, `upstream_request_id`); the FutureSMS portal",
                ),
            ),
        ),
        Explanation(
            "10006",
            "Messages fail while many are sent, and work again after the seconds in `Retry-After`. The PBX does"
            " not send them again.",
            (
                Cause(
                    "The PBX sends faster than the gateway allows it to.",
                    PBX,
                    "Messaging > Message Channel > the channel > Message Sending Rate: at most the least of the"
                    " gateway's `rate_limit.second`, `minute` ÷ 60, `hour` ÷ 3600 and `day` ÷ 86400. At that rate"
                    " nothing is refused: a message that comes early waits, up to `rate_limit.max_wait_ms`",
                ),
                Cause(
                    "The limit is too low for this PBX.",
                    GATEWAY,
                    "`rate_limit` of the plugin or of the consumer; the log line of the refusal names the window",
                ),
                Cause(
                    "FutureSMS limits the account (429 `TOO_MANY_REQUESTS`).",
                    FUTURESMS,
                    "the adapter's log line: `upstream_status` is 429",
                ),
                Cause(
                    "Another Kong plugin on the route limits the rate.",
                    GATEWAY,
                    "plugins of the route, the service and the whole gateway",
                ),
            ),
        ),
        Explanation(
            "10007",
            "Messages fail for a while, for every PBX of the gateway or for all that share a FutureSMS"
            " account.",
            (
                Cause(
                    "FutureSMS does not answer, answers with a server error, or its login cannot be reached.",
                    FUTURESMS,
                    "the adapter's log line (`upstream_status`); FutureSMS's status page; `yeastarctl"
                    " doctor`",
                ),
                Cause(
                    "The adapter's process is not running or hangs; the guard in kong.yml refuses what"
                    " it has not"
                    " accepted.",
                    GATEWAY,
                    "Kong's error log for `yeastar-adapter`; `yeastarctl doctor`",
                ),
                Cause(
                    "The plugin's configuration cannot be used; the reason is logged once.",
                    GATEWAY,
                    "Kong's error log; `yeastarctl config check kong.yml`",
                ),
                Cause(
                    "Redis is unavailable and `rate_limit.fault_tolerant` is false.",
                    GATEWAY,
                    "`yeastarctl doctor`; the Redis server",
                ),
            ),
        ),
    )
}

NOT_YEASTAR = Explanation(
    "",
    "The PBX cannot read the answer and shows a general failure.",
    (
        Cause(
            "The address is not this gateway's, or its path is wrong.",
            PBX,
            "the two URLs in the channel; what answered (`Server` header)",
        ),
        Cause(
            "A load balancer, a proxy or a firewall in front of the gateway answered.",
            GATEWAY,
            "its log at the time of the request",
        ),
        Cause(
            "The route has no guard: Kong's own errors reach the PBX as they are.",
            GATEWAY,
            "`yeastarctl config check kong.yml`",
        ),
        Cause(
            "The request was refused before Kong knew its route (a header above 8 KB, not HTTP).",
            GATEWAY,
            "Kong's access log: such requests have status 400 and no route",
        ),
    ),
)


def explain(code: str | None) -> Explanation:
    """The explanation of a code; of an answer that is not in Yeastar's form for anything else."""
    return EXPLANATIONS.get(code or "", NOT_YEASTAR)
