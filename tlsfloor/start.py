# Arms a process as it starts: what the folder on PYTHONPATH and an installed start-up file have in common. It
# must parse on Python 2.7 as they must. What it knows is in sys._tlsfloor, which tlsfloor.floor takes over when
# the first TLS stack is imported; an idle process loads this module, tlsfloor.hooks and the table.
import os
import sys
import time

# What needs no parser; all else, right or wrong, is read by tlsfloor.policy before the program runs.
PLAIN = {("TLSFLOOR", "1.2"), ("TLSFLOOR", "1.3"), ("TLSFLOOR_ON_ERROR", "block")}
PLAIN |= {("TLS_MIN_VERSION", "VersionTLS12"), ("TLS_MIN_VERSION", "VersionTLS13")}


def start(file, floor=None, outcome=None, since=None):
    """Arm this process by a start-up file, with the floor and the outcome that are written in it, if any.

    Files of other versions of tlsfloor call it too: it may get more parameters, and never loses one.
    """
    state = sys._tlsfloor
    if not state.get("files") and state.get("environment") is None:  # a file of version 0.1
        given = os.environ.items()
        state["environment"] = {k: v for k, v in given if k.startswith("TLSFLOOR") or k == "TLS_MIN_VERSION"}
    files = state.setdefault("files", [])
    route = "PYTHONPATH" if floor is None else "an installed file"
    known = {"route": route, "file": file, "floor": floor, "outcome": outcome, "since": since or time.time()}
    # site reads a .pth file twice, ddtrace runs sitecustomize again, a folder has a copy, and two threads may
    # come here at once.
    first = all(each["route"] != route for each in files)
    if first:
        files.append(known)
    if floor is None:
        make_absolute(os.path.dirname(file))
    try:
        if sys.version_info >= (3, 8):
            arm(state, known, first)
        elif first:
            arm_legacy(state, known)
    except Exception as error:  # whatever it was, nothing is armed
        text = fail(error)
        if text:
            refuse(text)


def make_absolute(folder):
    """Let children find the folder on PYTHONPATH from wherever they start."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    ours = [not os.path.isabs(each) and os.path.realpath(each) == folder for each in entries]
    if any(ours):
        entries = [folder if mine else each for each, mine in zip(entries, ours)]
        os.environ["PYTHONPATH"] = os.pathsep.join(entries)


def arm(state, file, first):
    import tlsfloor.hooks as hooks

    if not first:
        hooks.put()
        return
    if not PLAIN.issuperset(state["environment"].items()) or file["floor"] not in (None, "1.2", "1.3"):
        import tlsfloor.policy as policy

        policy.start_up_floors(state["environment"], file["floor"])
    hooks.watch(through("guard"), before=through("before"))
    aborts = chosen() == "abort"
    if aborts or not sys.modules.keys().isdisjoint(hooks.TABLE) or "tlsfloor.arm" in sys.modules:
        import tlsfloor.arm as arm

        arm.adopt()
        if aborts:  # who wants no process without the floor pays for finding out before it runs
            arm.check(state["held"])
        arm.guard_imported()


def through(step):
    """Return what takes a step of tlsfloor.arm inside of an import, and fails as the start-up file says."""

    def take(what):
        try:
            import tlsfloor.arm as arm

            arm.adopt()
            getattr(arm, step)(what)
        except Exception as error:  # whatever it was, the stack is not guarded
            text = fail(error)
            if text:
                raise ImportError(text)

    return take


def arm_legacy(state, file):
    """Hold the floor on ssl alone, on Pythons where tlsfloor itself does not run."""
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # 2.7 writes it beside the source
    try:
        import tlsfloor.old as old
        import tlsfloor.refusal as refusal
    finally:
        sys.dont_write_bytecode = writes

    floor = old.start_up_floor(state["environment"], file["floor"])
    if observes():
        if file["floor"] is None:
            raise ValueError("mode observe needs Python 3.8, and nothing is observed here")
        floor = old.read(file["floor"], "the installed file")
    old.watch(floor, file["file"], fail)
    if state["files"][0] is file:
        error = "no other stack than ssl is held on Python %d.%d" % sys.version_info[:2]
        refusal.refuse(refusal.others(say), lambda: fail(error))
    if chosen() == "abort":
        try:
            import ssl  # noqa: F401
        except ImportError:
            pass  # a Python without it: nothing to hold


def chosen():
    """Return the harshest outcome that anybody asks for; block where nobody does, or what is unknown."""
    state = sys._tlsfloor
    asked = {file["outcome"] for file in state["files"]}
    asked = asked.union([state["environment"].get("TLSFLOOR_ON_ERROR")]) - {None}
    if observes() and not any(file["floor"] for file in state["files"]):
        return "warn"  # it changes nothing, so that it refuses nothing
    return "abort" if "abort" in asked else "warn" if asked == {"warn"} else "block"


def observes():
    return sys._tlsfloor["environment"].get("TLSFLOOR_MODE") == "observe"


def fail(error):
    """Do as the outcome says; return the text of the refusal where TLS is to be refused."""
    text = sys._tlsfloor["failure"] = "tlsfloor: error: %s" % error
    outcome = chosen()
    if outcome == "block":
        return text
    if outcome == "warn":
        text += "; this process runs without the floor"
    say(text)
    if outcome == "abort":
        os._exit(78)  # EX_CONFIG of sysexits.h; after an exception here the program would run
    return None


def refuse(text):
    """Refuse all TLS stacks from now on, as if this Python had none."""
    import tlsfloor.refusal as refusal

    refusal.refuse({"ssl", "_ssl"}.union(refusal.others(say)), lambda: text)


def say(text):
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (AttributeError, EnvironmentError):
        pass  # it is closed, so that nobody can be told; status() says the same
