"""Certificates with their keys, as `certificates` of a configuration has them: PEM texts."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Mapping
from typing import Any

from kong_declarative.vault import is_reference


def load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Make a certificate chain and its key those of a context.

    Raises ValueError for texts that are not PEM, or do not belong together.
    """
    # OpenSSL takes files only; this one is readable for this user alone, and gone at once
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as together:
        together.write(f"{certificate.strip()}\n{key.strip()}\n")
        together.flush()
        try:
            context.load_cert_chain(together.name)
        except ssl.SSLError as problem:
            if problem.reason == "KEY_VALUES_MISMATCH":
                raise ValueError("certificate does not match key") from None
            raise ValueError(f"invalid certificate or key: {problem.reason or problem}") from None


def pair_error(entity: Mapping[str, Any]) -> str | None:
    """What is wrong with certificate and key of an entity; references are looked at when they are resolved."""
    cert, key = entity["cert"], entity["key"]
    if is_reference(cert) or is_reference(key):
        return None
    try:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), cert, key)
    except ValueError as fault:
        return str(fault)
    return None
