"""What exists in the stub's FutureSMS: merchants, senders and templates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Merchant:
    """A merchant account with its one API user. An inactive account can neither log in nor send."""

    username: str
    password: str
    active: bool = True


@dataclass(frozen=True, slots=True)
class Template:
    """A template; `var_limit` is the most characters of its `{{var}}`, None where it has no placeholder."""

    text: str
    var_limit: int | None
    approved: bool = True

    def render(self, var: str | None) -> str:
        return self.text.replace("{{var}}", var or "")


SENDERS = {"SID-1": "FUTURESMS", "SID-1001": "ACME", "SID-1002": "ACME-HELP"}
"""Authorised senders: logical id → the value that the recipient sees. `AUTO` is not enabled."""

TEMPLATES = {
    "TPL1001": Template("{{var}}", var_limit=2000),
    "TPL1024": Template("Your code is {{var}}", var_limit=24),
    "TPL1000": Template("Thank you for calling. We will be in touch.", var_limit=None),
    "TPL1999": Template("{{var}}", var_limit=24, approved=False),
}

DEFAULT_MERCHANT = ("yeastar-gateway", "stub-password")
