"""The cost of the gates: ``ssl.SSLContext`` with them, compared with the same class without them.

Times are measured in one process, which in turns installs the class with the gates as the base of
``ssl.SSLContext`` and removes it. They are processor times, because a busy machine can stop a
process for longer than a sample takes, and nothing here waits for anything else.

Instructions are counted in two processes, one with the bootstrap folder and one with an empty
``sitecustomize``, as users start programs. No one listens to events in either. A handshake includes
both ends, so it passes each gate twice.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
from contextlib import contextmanager
from functools import cache, partial
from time import process_time
from typing import TYPE_CHECKING, Any

import tlsfloor.floor as current
from benchmarks import work
from benchmarks.measure import BOOTSTRAP, Row, empty_folder, environment, instructions_of
from tlsfloor.stacks import stdlib
from tlsfloor.versions import FLOORS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Callable

#: Seconds of one sample, and calls before it: CPython specialises code again after a class changes.
SAMPLE = 0.02
WARM = 20

#: Rounds. CPython no longer caches attributes of a class that has changed a thousand times
#: (MAX_VERSIONS_PER_CLASS in 3.13), and each turn changes it twice.
ROUNDS = 31

KEYS = ("RSA", "ECDSA")


@contextmanager
def certificates() -> Iterator[dict[str, tuple[str, str]]]:
    """Create certificates for localhost. Yield their files, and those of their authorities."""
    import trustme

    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for kind in KEYS:
            key = trustme.KeyType[kind]
            authority = trustme.CA(key_type=key)
            pem, ca = f"{folder}/{kind}.pem", f"{folder}/{kind}-ca.pem"
            authority.issue_cert(
                "localhost", key_type=key
            ).private_key_and_cert_chain_pem.write_to_path(pem)
            authority.cert_pem.write_to_path(ca)
            made[kind] = pem, ca
        yield made


#: The attributes that the guard changes.
CHANGED = [(ssl.SSLContext, "__bases__"), (ssl.SSLObject, "do_handshake")]
CHANGED += [(ssl.SSLSocket, "do_handshake")]


@cache
def sides() -> tuple[list[Any], list[Any]]:
    """Return the values of these attributes without the guard, and with it."""
    unguarded = [getattr(owner, name) for owner, name in CHANGED]
    stdlib.guard(ssl)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())  # the guard acts on the first one
    one, other = socket.socketpair()
    with other, context.wrap_socket(one, do_handshake_on_connect=False):
        guarded = [getattr(owner, name) for owner, name in CHANGED]
    return unguarded, guarded


@contextmanager
def held(floor: str, *, guarded: bool) -> Iterator[None]:
    """Install the gates, or do not, as long as the context lasts."""
    current.held = current.threshold = FLOORS[floor] if guarded else current.NO_FLOOR
    put(sides()[guarded])
    try:
        yield
    finally:
        put(sides()[False])
        current.held = current.threshold = current.NO_FLOOR


def put(values: list[Any]) -> None:
    """Set the attributes that the guard changes."""
    for (owner, name), value in zip(CHANGED, values):
        setattr(owner, name, value)


def timed(
    name: str, args: tuple[str, ...], sample: float, floor: str
) -> dict[str, Callable[[], float]]:
    """Return the two variants of a function of ``work``, by time, in this process."""
    calls = 0

    def variant(*, guarded: bool) -> Callable[[], float]:
        with held(floor, guarded=guarded):
            call = getattr(work, name)(*args)
            begin = process_time()
            for _ in range(WARM):
                call()
            nonlocal calls
            calls = calls or max(3, int(sample * WARM / (process_time() - begin)))

        def measure() -> float:
            with held(floor, guarded=guarded):
                for _ in range(min(WARM, calls)):
                    call()
                begin = process_time()
                for _ in range(calls):
                    call()
                return (process_time() - begin) / calls

        return measure

    return {"unguarded": variant(guarded=False), "guarded": variant(guarded=True)}


def counted(
    name: str, args: tuple[str, ...], empty: str, few: int, many: int, floor: str
) -> dict[str, Callable[[], float]]:
    """Return the two variants of a function of ``work``, by instructions, in two processes."""
    environments = {
        "unguarded": environment(empty),
        "guarded": environment(BOOTSTRAP, TLSFLOOR=floor),
    }
    return {
        variant: partial(instructions_of, name, args, env, few, many)
        for variant, env in environments.items()
    }


def both(
    what: str,
    name: str,
    args: tuple[str, ...],
    empty: str,
    calls: tuple[int, int],
    *,
    most: float = 0,
    more: float = 0,
    rounds: int = 1,
    floor: str = "1.2",
    quick: bool = False,
) -> Iterator[Row]:
    """Yield a row for the time of a function of ``work``, and one for its instructions.

    ``more`` is the goal for the time, ``most`` the one for the instructions.
    """
    sample, calls = (0.001, (1, 3)) if quick else (SAMPLE, calls)
    yield Row(what, "second", timed(name, args, sample, floor), more=more, rounds=ROUNDS)
    counts = counted(name, args, empty, *calls, floor)
    yield Row(what, "integer", counts, most=most, rounds=rounds)


#: What is created -> the function of ``work``, the floor, the two numbers of calls, and the goals.
#: Since CPython 3.10 a new context has a minimum of 1.2, and floor 1.2 does not change it. Floor
#: 1.3 raises it, as floor 1.2 raises one of CPython 3.8 or 3.9.
BIRTHS = {
    "SSLContext(PROTOCOL_TLS_CLIENT)": ("client_context", "1.2", (20, 120), 1.01, 0),
    "SSLContext(PROTOCOL_TLS_CLIENT), raised to 1.3": ("client_context", "1.3", (20, 120), 1.01, 0),
    "create_default_context()": ("default_context", "1.2", (1, 3), 1.01, 0),
    "TLS object, by wrap_bio()": ("wrap_bio", "1.2", (50, 550), 0, 0.2e-6),
    "TLS object, by wrap_socket()": ("wrap_socket", "1.2", (50, 550), 0, 0.2e-6),
}


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows for new objects and for handshakes."""
    with certificates() as made, empty_folder() as empty:
        for what, (name, floor, calls, most, more) in BIRTHS.items():
            calling = name, (), empty, calls
            yield from both(what, *calling, most=most, more=more, floor=floor, quick=quick)
            if quick:
                return
        for version in ("TLSv1_2", "TLSv1_3"):
            for kind in KEYS:
                what = f"handshake, TLS {version[-3:].replace('_', '.')}, {kind}"
                args = (version, *made[kind])
                yield from both(what, "handshake", args, empty, (5, 25), most=1.001)
