"""pygit2 as it is installed: it offers TLS 1.2 at least."""

import tempfile


import pygit2

STACK = "pygit2"
NEEDS = ("pygit2",)
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe")
REFUSED = ("1.3",)


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
