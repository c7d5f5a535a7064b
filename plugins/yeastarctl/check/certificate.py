"""When a certificate ends: the one field of X.509 that is looked at here."""

from __future__ import annotations

import re
import ssl
from datetime import datetime, timezone

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x17, 0x18, 0xA0


class CertificateError(ValueError):
    """Not a certificate."""


def in_pem(text: str) -> list[str]:
    """Each certificate of a PEM text."""
    return _PEM.findall(text)


def ends_at(pem: str) -> datetime:
    """`notAfter` of a certificate in PEM form. Raises CertificateError."""
    try:
        der = ssl.PEM_cert_to_DER_cert(pem.strip())
        _, certificate, _ = _element(der)
        _, fields, _ = _element(certificate)
        tag, _, rest = _element(fields)
        if tag == _VERSION:
            _, _, rest = _element(rest)  # the serial number comes after the version
        for _ in ("signature algorithm", "issuer"):
            _, _, rest = _element(rest)
        _, validity, _ = _element(rest)
        _, _, rest = _element(validity)
        tag, not_after, _ = _element(rest)
        form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}[tag]
        return datetime.strptime(not_after.decode("ascii"), form).replace(tzinfo=timezone.utc)
    except (ValueError, IndexError, KeyError) as error:
        raise CertificateError(str(error)) from error


def _element(der: bytes) -> tuple[int, bytes, bytes]:
    """The first element of some DER: its tag, its content, and what follows it."""
    length, start = der[1], 2
    if length & 0x80:
        size = length & 0x7F
        start += size
        length = int.from_bytes(der[2:start], "big")
    if len(der) < start + length:
        raise CertificateError("cut off")
    return der[0], der[start : start + length], der[start + length :]
