"""tlslite-ng as the peers use it: without what they do not need, which is most of its time.

How it works: the package ``tlslite`` imports its integrations with asyncio, XML-RPC, IMAP and
others when it is imported. Here its place is taken by a package that imports them when a program
asks for one of its names. Two parts are replaced: a check for a deprecated name, which reads source
files for each key of AES, and the key of an ECDHE key exchange.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module, util

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _import_package() -> None:
    """Import the package ``tlslite``, but none of its modules."""
    spec = None if "tlslite" in sys.modules else util.find_spec("tlslite")
    if spec is not None and spec.submodule_search_locations:
        package = sys.modules["tlslite"] = util.module_from_spec(spec)
        vars(package)["__getattr__"] = lambda name: getattr(import_module("tlslite.api"), name)


_import_package()

from tlslite.constants import CipherSuite  # noqa: E402
from tlslite.keyexchange import ECDHKeyExchange  # noqa: E402
from tlslite.utils.rijndael import Rijndael  # noqa: E402

#: The attribute ``one`` is true in the threads of peers whose private key of ECDHE is 1.
key_is = threading.local()

Rijndael.__init__ = getattr(Rijndael.__init__, "__wrapped__", Rijndael.__init__)


_random_private_key = ECDHKeyExchange.get_random_private_key
_functions_of_group = ECDHKeyExchange._get_fun_gen_size


def _get_random_private_key(self: Any) -> Any:
    return 1 if getattr(key_is, "one", False) else _random_private_key(self)


def _get_fun_gen_size(self: Any) -> tuple[Any, Any, int]:
    """Return what multiplies a point of X25519 or X448, its generator, and its size."""
    multiply, generator, size = _functions_of_group(self)
    return lambda key, point: point if key == 1 else multiply(key, point), generator, size


ECDHKeyExchange.get_random_private_key = _get_random_private_key
ECDHKeyExchange._get_fun_gen_size = _get_fun_gen_size

# The order in which a server chooses in TLS 1.3. In pure Python ChaCha20 takes a third of AES.
CipherSuite.tls13Suites.sort(key=lambda suite: suite != CipherSuite.TLS_CHACHA20_POLY1305_SHA256)
