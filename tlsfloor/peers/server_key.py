"""The key of the verifier's servers: RSA with a modulus of eight primes.

How it works: RFC 8017 allows any number of primes (section 3.1), and the private operation takes
the time of their size cubed. With the usual two it takes 6 ms in pure Python, which was most of a
handshake, and with eight 1 ms. A client cannot tell the difference: it sees a modulus of 2048 bits.
Such a modulus is easier to factor. That does no harm, because the key is public anyway.
"""

from __future__ import annotations

from math import prod

from tlslite.utils.python_rsakey import Python_RSAKey

_PRIMES = (
    0xFF0634294AE4C74831934D073D9EE71D4063C02DB286B4C3A71979F47198FF15,
    0xFF11D1E2E63BAD0816396727E13CF90D0405608A5FE702A354804B80B21E905F,
    0xFF17082ED7F5A5BD89492373837142296C2E08F175B6E919CCBD618818F6493D,
    0xFF8A46CC58D2E24C49655A33F12EEFC446228CBFF662E847038F640D763461B3,
    0xFF8D56EFA363A227066453A848DE4439B32FB88066A288B4EF30F7297F764D5B,
    0xFF995211613DA67BD22789B7568790E496AD7B00C4A7CE7E20C037D64D3316D3,
    0xFFA2250B214B1A92FB7469EFB68148F1288C710C65F562645260A1D30A87A789,
    0xFFE39877C85C91638776ADCFB8CC94815887C4C4C8898A108B1CAB3DA53F717D,
)
_EXPONENT = 65537


class ServerKey(Python_RSAKey):  # type: ignore[misc] # tlslite-ng has no types
    """The key. It protects nothing, so nothing hides from a clock what it does."""

    def __init__(self) -> None:  # not that of the base class, which knows two primes
        self.key_type = "rsa"
        self.n, self.e = prod(_PRIMES), _EXPONENT
        self.d = 1  # there is a private exponent, but for each prime
        others = [self.n // prime for prime in _PRIMES]
        # By the Chinese remainder theorem, a number is the sum of its remainders times these.
        basis = [other * pow(other, -1, prime) for prime, other in zip(_PRIMES, others)]
        exponents = [pow(_EXPONENT, -1, prime - 1) for prime in _PRIMES]
        self._parts = list(zip(_PRIMES, exponents, basis))

    def _rawPrivateKeyOp(self, message: int) -> int:  # noqa: N802 - tlslite-ng's name
        return (
            sum(pow(message, secret, prime) * part for prime, secret, part in self._parts) % self.n
        )

    def decrypt(self, encrypted: bytes) -> bytearray | None:
        """Return what a client encrypted (RFC 8017 section 7.2.2), None if it is nothing."""
        padded = self._raw_private_key_op_bytes(encrypted)
        end = padded.find(0, 2)
        return padded[end + 1 :] if padded[:2] == b"\0\2" and end > 0 else None
