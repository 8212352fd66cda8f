"""The client certificate of ``--cert`` and ``--key``: read, and checked before anything is opened.

A fault of the file must not look like a refusal by the endpoint, so each has an error of its own.
No password is asked for: OpenSSL would do that on the terminal.
"""

from __future__ import annotations

import datetime as dt
import re
import ssl
from typing import TYPE_CHECKING

from tlsfloor.errors import VerifyError
from tlsfloor.peers.base import reason_of

if TYPE_CHECKING:
    from typing import Any

_KEY = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)


def load(context: ssl.SSLContext, cert: str, key: str | None = None) -> None:
    """Let a context present a client certificate; its file has the key too, unless ``key`` does.

    Raises:
        VerifyError: a file cannot be read or used, the key is encrypted, or the certificate is not
            valid now.
    """
    certificates, keys = _text(cert), _text(key or cert)
    if "-----BEGIN CERTIFICATE-----" not in certificates:
        raise VerifyError(f"{cert} has no certificate", hint="--cert needs a PEM file")
    if not _KEY.search(keys):
        hint = "add --key FILE" if key is None else "--key needs a PEM file"
        raise VerifyError(f"{key or cert} has no private key", hint=hint)
    asked: list[bool] = []

    def password() -> str:
        asked.append(True)
        return ""

    try:
        context.load_cert_chain(cert, key, password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        if asked:
            problem = f"the key in {key or cert} is encrypted"
            hint = f"openssl pkey -in {key or cert} -out FILE, and then --key FILE"
            raise VerifyError(problem, hint=hint) from None
        problem = f"{cert} cannot be used" if key is None else f"{cert} and {key} cannot be used"
        hint = "the key must be that of the first certificate, and both must be PEM"
        raise VerifyError(f"{problem}: {reason_of(error)}", hint=hint) from None
    try:
        first, last = _validity(certificates)
    except Exception:  # noqa: BLE001 - a form that RFC 5280 does not allow: the endpoint judges it
        return
    now = dt.datetime.now(dt.timezone.utc)
    if not first <= now <= last:
        state = f"expired on {last:%Y-%m-%d}" if now > last else f"is valid from {first:%Y-%m-%d}"
        raise VerifyError(f"{cert} {state}", hint="a certificate that is valid now")


def _text(file: str) -> str:
    try:
        with open(file, encoding="latin-1") as stream:
            return stream.read()
    except (OSError, ValueError) as error:
        hint = "--cert and --key need PEM files that this user can read"
        raise VerifyError(f"{file} cannot be read: {reason_of(error)}", hint=hint) from None


def identity(cert: str, key: str | None = None) -> tuple[Any, Any]:
    """Return the certificates and the key for tlslite-ng; Nones if it cannot use them."""
    from tlslite.utils.keyfactory import parsePEMKey
    from tlslite.x509certchain import X509CertChain

    chain = X509CertChain()
    try:
        chain.parsePemList(_text(cert))
        found = _KEY.search(_text(key or cert))
        # Nothing else: with M2Crypto, tlslite-ng takes only what comes first.
        return chain, parsePEMKey(found[0] if found else "", private=True)
    except Exception:  # noqa: BLE001 - it has kinds of keys of its own, and any error
        return None, None


def _validity(pem: str) -> tuple[dt.datetime, dt.datetime]:
    """Return from when to when the first certificate of a PEM text is valid (RFC 5280 4.1)."""
    from tlslite.utils.asn1parser import ASN1Parser

    end = "-----END CERTIFICATE-----"
    first = pem[pem.index("-----BEGIN CERTIFICATE-----") : pem.index(end) + len(end)]
    fields = ASN1Parser(bytearray(ssl.PEM_cert_to_DER_cert(first))).getChild(0)
    # Version 1 leaves out the number of the version, so one field is missing before this one.
    field = next(each for each in map(fields.getChild, (4, 3)) if each.value[0] in _TIMES)
    return _time(field.getChildBytes(0)), _time(field.getChildBytes(1))


# The tags of UTCTime and GeneralizedTime, and their forms.
_TIMES = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}


def _time(data: bytes) -> dt.datetime:
    """Parse a time in DER. Years from 50 to 68 are of the last century (RFC 5280 4.1.2.5.1)."""
    text, form = data[2:].decode("ascii"), _TIMES[data[0]]
    found = dt.datetime.strptime(text, form).replace(tzinfo=dt.timezone.utc)
    return found.replace(year=found.year - 100) if form[1] == "y" and found.year >= 2050 else found
