"""Files that a configuration names: certificates to trust, and the certificates that it carries itself."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

from .certificate import CertificateError, ends_at, in_pem
from .finding import Finding, error, hint, warning
from .node import Node

SOON_DAYS = 30


def check(config: Node, here: bool) -> Iterator[Finding]:
    """Look at `ca_certificates` of merchant and Redis. `here`: this is the machine where Kong runs, so look inside."""
    redis = config.at("rate_limit", "redis")
    records = [config.get("merchant"), redis]
    records += [entry.get("merchant") for entry in config.each("consumers")]
    for record in records:
        node = record.get("ca_certificates") if record else None
        if node is not None and isinstance(node.value, str):
            # Without Redis each node counts for itself; without the Merchant API nothing is sent.
            yield from _ca_file(node, here, error if record is not redis else warning)


def certificates(root: Node) -> Iterator[Finding]:
    """Look at the certificates of the configuration: expired, or about to."""
    for node in root.each("certificates"):
        cert = node.get("cert")
        if cert is not None and isinstance(cert.value, str) and "BEGIN CERTIFICATE" in cert.value:
            yield from _life(cert, cert.value, "a PBX that checks certificates cannot connect")


def _ca_file(node: Node, here: bool, report: Callable[..., Finding]) -> Iterator[Finding]:
    path = node.value
    if "BEGIN CERTIFICATE" in path:
        yield report(
            "ca-file",
            node,
            "this is a certificate itself; the adapter wants the path of a PEM file, and finds none:"
            " no connection is trusted",
            "write it into a file on Kong's machine, and its path here",
        )
        return
    if "{" in path or "$" in path:
        return
    if not os.path.isabs(path):
        yield warning(
            "ca-file",
            node,
            f"{path} is relative to the directory in which Kong was started",
            "write the whole path, such as /etc/kong/ca.pem",
        )
        return
    if not here:
        return
    file = Path(path)
    try:
        text = file.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        yield report(
            "ca-file",
            node,
            f"there is no {path} on this machine: where it is missing, no connection is trusted, and"
            f" messages are refused",
            "put it there; if Kong runs on another machine: --no-environment",
        )
        return
    except OSError as problem:
        yield report("ca-file", node, f"{path} cannot be read: {problem.strerror}", "let Kong's user read it")
        return
    if not in_pem(text):
        yield report(
            "ca-file",
            node,
            f"{path} holds no PEM certificate",
            "give a file with -----BEGIN CERTIFICATE-----",
        )
        return
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as problem:
        yield report(
            "ca-file", node, f"{path} cannot be used: {problem.reason}", "give a PEM file of certificates"
        )
        return
    yield from _life(node, text, f"{path}: then no certificate is trusted")


def _life(node: Node, text: str, consequence: str) -> Iterator[Finding]:
    for pem in in_pem(text):
        try:
            end = ends_at(pem)
        except CertificateError as problem:
            yield hint("not-judged", node, f"a certificate that cannot be read here: {problem}")
            continue
        days = (end - datetime.now(timezone.utc)).total_seconds() / 86400
        if days < 0:
            yield error(
                "certificate-ended",
                node,
                f"the certificate expired on {end:%Y-%m-%d}: {consequence}",
                "renew it",
            )
        elif days < SOON_DAYS:
            yield warning(
                "certificate-ends",
                node,
                f"the certificate expires on {end:%Y-%m-%d}: {consequence}",
                "renew it now",
            )
