# Arms a process as it starts: what the folder on PYTHONPATH and an installed start-up file have in common. It
# must parse on Python 2.7 as they must. What it knows is in sys._tlsfloor, read once: programs empty os.environ.
import os
import sys
import time

VARIABLES = {"TLSFLOOR", "TLS_MIN_VERSION", "TLSFLOOR_ON_ERROR", "TLSFLOOR_MODE"}
VARIABLES |= {"TLSFLOOR_EVENTS", "TLSFLOOR_EXEMPTIONS", "TLSFLOOR_UNCOVERED", "TLSFLOOR_STACKS"}
# What needs no parser; all else, right or wrong, is read by tlsfloor.policy before the program runs.
PLAIN = {("TLSFLOOR", "1.2"), ("TLSFLOOR", "1.3"), ("TLSFLOOR_ON_ERROR", "block")}
PLAIN |= {("TLS_MIN_VERSION", "VersionTLS12"), ("TLS_MIN_VERSION", "VersionTLS13")}


def start(file, floor=None, outcome=None):
    """Arm this process by a start-up file, with the floor and the outcome that are written in it, if any.

    Files of other versions of tlsfloor call it too: it may get more parameters, and never loses one.
    """
    state = sys._tlsfloor
    if "files" not in state:
        # By name: a cluster sets hundreds of others, and each that os.environ lists is dear.
        state["environment"] = {name: os.environ[name] for name in VARIABLES if name in os.environ}
        state.update(files=[], armed=[])
    route = "PYTHONPATH" if floor is None else "an installed file"
    if route in [each["route"] for each in state["files"]]:
        return  # site reads a .pth file twice, ddtrace runs sitecustomize again, a folder has a copy
    if floor is None:
        make_absolute(os.path.dirname(file))
    since = time.time()  # for tlsfloor.arm, when the first TLS stack is imported
    state["files"].append({"route": route, "file": file, "floor": floor, "outcome": outcome, "since": since})
    try:
        (arm if sys.version_info >= (3, 8) else arm_old)(state, state["files"][-1])
    except Exception as error:  # whatever it was, nothing is armed
        text = fail(error)
        if text:
            import tlsfloor.refusal as refusal

            refusal.refuse({"ssl", "_ssl"}.union(refusal.others(say)), lambda: text)


def make_absolute(folder):
    """Let children find the folder on PYTHONPATH from wherever they start."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if not all(map(os.path.isabs, entries)):
        ours = [not os.path.isabs(each) and os.path.realpath(each) == folder for each in entries]
        if any(ours):
            entries = [folder if mine else each for each, mine in zip(entries, ours)]
            os.environ["PYTHONPATH"] = os.pathsep.join(entries)


def arm(state, file):
    import tlsfloor.stacks as stacks

    environment = state["environment"]
    if not PLAIN.issuperset(environment.items()) or file["floor"] not in (None, "1.2", "1.3"):
        import tlsfloor.policy

        tlsfloor.policy.start_up_floors(environment, file["floor"])
    state["armed"].append(file)
    stacks.watch(executed)
    aborts = chosen() == "abort"
    if aborts or not sys.modules.keys().isdisjoint(stacks.TABLE) or "tlsfloor.arm" in sys.modules:
        import tlsfloor.arm

        tlsfloor.arm.adopt()
        if aborts:  # who wants no process without the floor pays for finding out before it runs
            tlsfloor.arm.check(tlsfloor.policy.start_up_floor(environment, file["floor"]))
        tlsfloor.arm.guard_imported()


def arm_old(state, file):
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
    if not state["armed"]:
        error = "no other stack than ssl is held on Python %d.%d" % sys.version_info[:2]
        refusal.refuse(refusal.others(say), lambda: fail(error))
    state["armed"].append(file)
    if chosen() == "abort":
        try:
            import ssl  # noqa: F401
        except ImportError:
            pass  # a Python without it: nothing to hold


def executed(module):
    """Guard a TLS stack, inside of its import."""
    try:
        import tlsfloor.arm

        tlsfloor.arm.adopt()
        tlsfloor.arm.guard(module)
    except Exception as error:  # whatever it was, the stack is not guarded
        text = fail(error)
        if text:
            raise ImportError(text)


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


def say(text):
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (AttributeError, EnvironmentError):
        pass  # it is closed, so that nobody can be told; status() says the same
