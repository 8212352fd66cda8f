"""Run tests of CPython, and write as JSON which passed, which failed, and which were skipped.

Arguments: the file to write, and names of modules, classes or methods, like ``test.test_ssl``.

With OpenSSL 3, the tests of TLS 1.0 and 1.1 skip themselves, because they fail at its default
security level. Here they run, at level 0. So do those of TLS 1.2 with floor 1.3.
"""

import json
import re
import ssl
import sys
import unittest

from test import support, test_ssl


def has_tls_version(version):
    return getattr(ssl, f"HAS_{getattr(version, 'name', version)}", False)


def seclevel_workaround(*contexts):
    for each in contexts:
        each.set_ciphers("ALL:@SECLEVEL=0")


class Result(unittest.TextTestResult):
    """Remembers the names of tests that passed."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.passed = []

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed.append(test)


def name_of(test):
    """Return the name that runs a test again: of the method, or of the class that failed before."""
    case = getattr(test, "test_case", test)  # of a subtest
    found = re.search(r"\(([\w.]+)\)", case.id())  # "setUpClass (test.test_ssl.ContextTests)"
    return found[1] if found else case.id()


if __name__ == "__main__":
    file, *names = sys.argv[1:]
    support.use_resources = ["walltime"]  # and no network
    test_ssl.has_tls_version = has_tls_version
    test_ssl.seclevel_workaround = seclevel_workaround
    runner = unittest.TextTestRunner(resultclass=Result)
    program = unittest.main(None, argv=["unittest", *names], testRunner=runner, exit=False)
    result = program.result
    failed = {name_of(test) for test, _ in [*result.failures, *result.errors]}
    failed |= {*map(name_of, result.unexpectedSuccesses)}
    skipped = {name_of(test) for test, _ in result.skipped} - failed
    passed = {*map(name_of, result.passed)} - failed - skipped
    with open(file, "w", encoding="utf-8") as output:
        json.dump([*map(sorted, (passed, failed, skipped))], output)
