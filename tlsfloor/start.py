# What start-up files call, and what happens where arming fails as Python starts. It must parse on Python 2.7 as
# they must; what it knows is in sys._tlsfloor.
import os
import sys


def start(file, floor=None, outcome=None, since=None):
    """Arm this process by a start-up file, with the floor and the outcome that are written in it, if any.

    Files of other versions of tlsfloor call it too: it may get more parameters, and never loses one.
    """
    if sys._tlsfloor.get("environment") is None:  # a file of version 0.1
        given = os.environ.items()
        sys._tlsfloor["environment"] = {k: v for k, v in given if k.startswith("TLSFLOOR") or k == "TLS_MIN_VERSION"}
    if sys.version_info >= (3, 8):
        import tlsfloor.arm as arm
    else:
        import tlsfloor.old as arm
    arm.start(file, floor, outcome, since)


def make_absolute(folder):
    """Let children find the folder on PYTHONPATH from wherever they start."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    ours = [not os.path.isabs(each) and os.path.realpath(each) == folder for each in entries]
    if any(ours):
        entries = [folder if mine else each for each, mine in zip(entries, ours)]
        os.environ["PYTHONPATH"] = os.pathsep.join(entries)


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
    text = "tlsfloor: error: %s" % error
    known = sys._tlsfloor.get("failure") == text  # a stack of several modules, or imported again
    sys._tlsfloor["failure"] = text
    outcome = chosen()
    if outcome == "block":
        return text
    if outcome == "warn":
        text += "; this process runs without the floor"
    if outcome == "abort" or not known:
        say(text)
    if outcome == "abort":
        os._exit(78)  # EX_CONFIG of sysexits.h; after an exception here the program would run
    return None


def refuse(error):
    """Do as the outcome says where nothing could be armed: refuse all TLS stacks, as if there were none."""
    text = fail(error)
    if text:
        import tlsfloor.refusal as refusal

        refusal.refuse({"ssl", "_ssl"}.union(refusal.others(say)), lambda: text)


def say(text):
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (AttributeError, EnvironmentError):
        pass  # it is closed, so that nobody can be told; status() says the same
