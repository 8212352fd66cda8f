"""What tlsfloor asks for itself: ``verify()``, ``status()``, ``require()``.

It leaves no event, no count, no warning and no changed filter. The same in a program leaves them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from programs import IMPORT_PATH, clean_environment, python


ASK = """
import json, sys, warnings
import ssl, tlsfloor
question, floor, mode = sys.argv[1:]
kinds = []
if floor:
    tlsfloor.enforce(floor, mode=mode, on_event=lambda event: kinds.append(event["kind"]))
def state():
    registries = {name: {text for text in getattr(module, "__warningregistry__", ())}
                  for name, module in list(sys.modules.items())}
    return [list(warnings.filters), {name: found for name, found in registries.items() if found}]
def ask():
    if question == "verify":
        tlsfloor.verify("1.3")
    elif question == "status":
        tlsfloor.status()
    elif question == "require":
        try:
            tlsfloor.require("1.3")
        except tlsfloor.FloorNotHeldError:
            pass
    else:  # a program asks the same
        from tlsfloor.verifier import probe
        from tlsfloor.peers.base import CA_FILE, PEER_FILE
        job = {"ca": CA_FILE, "identity": PEER_FILE}
        probe.make_context(ssl, "client", "lowered", job)
ask()  # what it imports
before, _ = state(), kinds.clear()
ask()
print(json.dumps([kinds, tlsfloor.status().counts, before == state()]))
"""


def asked(question: str, floor: str, mode: str, *flags: str) -> list[Any]:
    args = (*flags, "-c", ASK, question, floor, mode)
    done = python(*args, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


# 1.3 raises and refuses what each Python makes by itself.
@pytest.mark.parametrize(
    ("floor", "mode"), [("1.3", "enforce"), ("1.3", "observe"), ("", "enforce")]
)
@pytest.mark.parametrize("question", ["verify", "status", "require"])
def test_questions_of_tlsfloor_leave_no_event_no_count_and_no_filter(
    question: str, floor: str, mode: str
) -> None:
    kinds, counts, same = asked(question, floor, mode)
    assert (kinds, set(counts.values()), same) == ([], {0}, True)


def test_requests_of_a_program_are_events_and_counted() -> None:
    kinds, counts, _ = asked("a program", "1.3", "enforce", "-W", "ignore")
    assert {*kinds} <= {"raised", "clamped"}
    assert counts["clamped"] == 2


@pytest.mark.parametrize("flag", ["error", "always"])
@pytest.mark.parametrize("floor", ["1.3", ""])
def test_verify_gives_no_warning(flag: str, floor: str) -> None:
    """It asks for old versions, for which a program would get a warning or an error."""
    kinds, counts, same = asked("verify", floor, "enforce", "-W", flag)
    assert (kinds, set(counts.values()), same) == ([], {0}, True)


KEY_LOG = """
import sys, tlsfloor
if sys.argv[1]:
    tlsfloor.enforce(sys.argv[1])
    tlsfloor.status()
print(len(tlsfloor.verify("1.2").observations))
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("floor", ["", "1.2"])
@pytest.mark.parametrize("kind", ["file", "FIFO"])
def test_nothing_is_written_to_a_key_log(kind: str, floor: str, tmp_path: Path) -> None:
    """``ssl.create_default_context()`` opens the file, and waits for the reader of a FIFO."""
    log = tmp_path / "keys"
    if kind == "FIFO":
        os.mkfifo(log)
    env = clean_environment(PYTHONPATH=IMPORT_PATH, SSLKEYLOGFILE=str(log))
    done = python("-W", "ignore", "-c", KEY_LOG, floor, env=env)
    assert int(done.stdout) > 20, done.stderr
    assert log.exists() == (kind == "FIFO")


THREADS = """
import json, ssl, sys, threading, warnings
import tlsfloor
warnings.simplefilter("always", UserWarning)
tlsfloor.enforce("1.3")
tlsfloor.verify("1.3")  # what it imports
filters = list(warnings.filters)
seen, over = [], threading.Event()
warnings.showwarning = lambda *args, **kwargs: seen.append(str(args[0]))
def program():
    while not over.is_set():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = 0x303
        made.append(context.minimum_version)
def asks():
    for _ in range(5):
        assert tlsfloor.verify("1.3") and tlsfloor.status().held
made = []
threads = [threading.Thread(target=asks) for _ in range(4)]
other = threading.Thread(target=program)
for each in [other, *threads]:
    each.start()
for each in threads:
    each.join()
over.set()
other.join()
warnings.warn("still heard")
print(json.dumps([seen, filters == warnings.filters, len(made), tlsfloor.status().counts]))
"""


def test_concurrent_questions_do_not_suppress_warnings_of_the_program() -> None:
    """Each context of the program is counted while other threads call verify()."""
    done = python("-c", THREADS, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    seen, same, made, counts = json.loads(done.stdout)
    assert seen == ["still heard"]
    assert same
    assert counts["clamped"] == made > 0


FINDINGS = """
import json, ssl, sys, types
import tlsfloor
from tlsfloor import errors, stacks
class Guard(types.ModuleType):
    def guard(self, module):
        raise errors.GuardError("this version is of the future")
sys.modules["stack"] = types.ModuleType("stack")
sys.modules["its_guard"] = Guard("its_guard")
stacks.TABLE["stack"] = "its_guard"
kinds = []
try:
    tlsfloor.enforce("1.3", on_event=lambda event: kinds.append(event["kind"]))
except tlsfloor.GuardError as error:
    print(json.dumps([len(error.findings), kinds, tlsfloor.status().counts]))
"""


def test_the_findings_of_an_error_are_not_events() -> None:
    done = python("-c", FINDINGS, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    found, kinds, counts = json.loads(done.stdout)
    assert (found > 0, kinds, set(counts.values())) == (True, ["armed"], {0})


RAISED = """
import json, ssl, warnings
import tlsfloor
warnings.simplefilter("ignore")
context = ssl.create_default_context()
context.minimum_version = 0x301
tlsfloor.raise_context(context, "1.3")
if hasattr(ssl, "PROTOCOL_TLSv1"):
    try:
        tlsfloor.raise_context(ssl.SSLContext(ssl.PROTOCOL_TLSv1), "1.3")
    except tlsfloor.ProtocolRefused:
        pass
from tlsfloor.stacks._contexts import asked
print(json.dumps([int(context.minimum_version), asked(context), tlsfloor.status().counts]))
"""


def test_raise_context_is_not_counted_as_a_gate() -> None:
    done = python("-c", RAISED, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    minimum, asked, counts = json.loads(done.stdout)
    assert (minimum, asked, set(counts.values())) == (0x304, {}, {0})
