"""pygit2, with an OPENSSL_CONF that allows every version: refused where TLS begins."""

import os
import tempfile

os.environ["OPENSSL_CONF"] = os.path.join(os.path.dirname(__file__), "lenient.cnf")

import pygit2

STACK = "pygit2"
NEEDS = ("pygit2",)
REFUSED = ("1.2", "1.3")


class Callbacks(pygit2.RemoteCallbacks):
    def certificate_check(self, certificate, valid, host):
        return True


def connect(port, job, made):
    with tempfile.TemporaryDirectory() as folder:
        repository = pygit2.init_repository(folder)
        remote = repository.remotes.create("origin", f"https://localhost:{port}/")
        try:
            remote.fetch(callbacks=Callbacks())
        except pygit2.GitError as error:
            if "content-type" not in str(error):
                raise
        # The peer is no Git server, and says which version it was.
