"""libldap beyond ``test_stacks``: late floors, and versions that its guard does not fit."""

from __future__ import annotations

import json

from programs import armed_environment, python
from parts import need

UNKNOWN = """
import tlsfloor.stacks._libldap as libldap
libldap._KNOWN = range(0)
import _ldap
"""

RAISED = """
import json, tlsfloor, _ldap
from tlsfloor.stacks import ldap
[library] = ldap._libraries.values()
found = [library.offered(), library.held()]
tlsfloor.enforce("1.3"); tlsfloor.enforce("1.2")
found += [library.offered(), library.held()]
library.release()
found += [library.offered(), library.held(), ldap.undone(_ldap)]
print(json.dumps([found, tlsfloor.status().stacks]))
"""

SIGNAL = """
import tlsfloor, _ldap
from tlsfloor.stacks import ldap
[library] = ldap._libraries.values()
def interrupted(*arguments):
    raise KeyboardInterrupt
library._hold = interrupted
print(library.offered())
"""


def test_a_release_that_is_not_known_cannot_be_imported() -> None:
    need("ldap")
    done = python("-c", UNKNOWN, env=armed_environment("1.2"))
    assert "GuardError: no way is known to hold a floor on OpenLDAP" in done.stderr


def test_the_floor_only_rises_and_a_removed_callback_is_reported() -> None:
    need("ldap")
    done = python("-c", RAISED, env=armed_environment("1.2"))
    assert done.returncode == 0, done.stderr
    found, stacks = json.loads(done.stdout)
    assert found[:4] == [0x303, True, 0x304, True]
    assert found[4] < 0x303
    assert found[5:] == [False, "the callback of libldap was replaced"]
    assert stacks["_ldap"] != "guarded"


def test_a_connection_whose_callback_a_signal_interrupted_is_refused() -> None:
    need("ldap")
    done = python("-c", SIGNAL, env=armed_environment("1.2"))
    assert int(done.stdout) >= 0x303, done.stderr
