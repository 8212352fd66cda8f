"""What the guards of libcurl share: the options of a handle that set its versions.

The numbers are those of curl.h; the ABI of libcurl never changes them. The options apply to every
scheme for which libcurl itself speaks TLS (https, ftps, smtps, STARTTLS, ...); QUIC is TLS 1.3.
"""

from __future__ import annotations

from operator import index

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks._contexts import refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# CURLOPT_SSLVERSION and CURLOPT_PROXY_SSLVERSION: for a server, and for an HTTPS proxy.
VERSIONS = (32, 250)

# CURLOPT_DOH_URL.
_DOH_URL = 10279

# CURL_SSLVERSION_TLSv1_0 and so on. Below them are DEFAULT (0), TLSv1 (1.0 or later), SSLv2, SSLv3.
# A maximum is the same number shifted by 16 bits; 0 (none) and 1 (the default) set no maximum.
_NUMBERS = {versions.TLS1_0: 4, versions.TLS1_1: 5, versions.TLS1_2: 6, versions.TLS1_3: 7}


def clamp_option(option: Any, value: Any) -> Any:
    """Return the value for an option: what the program asks for, clamped to the floor.

    Raises:
        ProtocolRefused: the program wants names resolved by HTTPS. libcurl makes handles of its own
            for that, which inherit neither SSLVERSION nor any other option that could set a minimum
            (lib/doh.c, doh_probe_run).
        TypeError: the option, or the value of a version option, is not an integer.
    """
    option = index(option)
    if option in VERSIONS:
        return _clamped(index(value), default())
    if option == _DOH_URL and value and current.is_held():
        current.counts["refused"] += 1
        raise refusal(
            "libcurl has no setting for a minimum version for the connections of DOH_URL",
            "do not set DOH_URL",
        )
    return value


def default() -> int:
    """Return the value of VERSIONS if the program asks for nothing."""
    return _NUMBERS.get(current.held, 0)


def _clamped(value: int, lowest: int) -> int:
    maximum, minimum = divmod(value, 1 << 16)
    if minimum < lowest:
        current.counts["clamped" if minimum else "raised"] += 1
        minimum = lowest
    if 1 < maximum < lowest:
        current.counts["clamped"] += 1
        maximum = lowest
    return maximum << 16 | minimum
