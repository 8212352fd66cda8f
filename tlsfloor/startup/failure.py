# What happens where arming fails as Python starts: what TLSFLOOR_ON_ERROR chooses. It must parse on Python 2.7, as
# the start-up files must; what it knows is in sys._tlsfloor.
import os
import sys


# What may be meant by the rest of a name that begins with TLSFLOOR_ and is none of the variables.
MEANT = {each: "TLSFLOOR_" + each for each in "ON_ERROR MODE UNCOVERED STACKS UNKNOWN EVENTS EXEMPTIONS".split()}
MEANT.update(dict.fromkeys(("", "S", "FLOOR", "VERSION", "MIN", "MIN_VERSION", "MINIMUM"), "TLSFLOOR"))


def chosen(starting=False):
    """Return the harshest outcome that anybody asks for; block where nobody does, or what is unknown.

    Mode observe changes nothing, so that it refuses nothing. But who asks for an abort wants no process whose
    configuration cannot be understood: it ends as it starts, and not where a single stack is not seen later.
    """
    state = sys._tlsfloor
    asked = {file["outcome"] for file in state["files"]}
    asked = asked.union([state["environment"].get("TLSFLOOR_ON_ERROR")]) - {None}
    if observes() and not any(file["floor"] for file in state["files"]):
        return "abort" if starting and "abort" in asked else "warn"
    return "abort" if "abort" in asked else "warn" if asked == {"warn"} else "block"


def observes():
    return sys._tlsfloor["environment"].get("TLSFLOOR_MODE") == "observe"


def fail(error, starting=False):
    """Do as the outcome says; return the text of the refusal where TLS is to be refused."""
    text = "tlsfloor: error: %s" % error
    known = sys._tlsfloor.get("failure") == text  # a stack of several modules, or imported again
    sys._tlsfloor["failure"] = text
    outcome = chosen(starting)
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
    text = fail(error, starting=True)
    if text:
        import tlsfloor.startup.refusal as refusal

        refusal.refuse({"ssl", "_ssl", "_cffi_ssl._stdssl"}.union(refusal.others(say)), lambda: text)


def name_unknown(environment):
    """Say which variables begin with TLSFLOOR and are none, and which one may be meant."""
    known = set(MEANT.values())
    for name in sorted(each for each in environment if each.startswith("TLSFLOOR") and each not in known):
        import difflib
        import re

        # What Kubernetes sets for a service whose name is tlsfloor, or begins so.
        if re.search(r"_SERVICE_(HOST|PORT)(_\w+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$", name):
            continue
        meant = difflib.get_close_matches(name[8:].strip("_").upper(), MEANT, 1)
        hint = "write " + MEANT[meant[0]] if meant else "the variables are " + ", ".join(sorted(known))
        say("tlsfloor: warning: %s is not a variable of tlsfloor and changes nothing; hint: %s" % (name, hint))


def make_absolute(folder):
    """Let children find the folder on PYTHONPATH from wherever they start."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    ours = [not os.path.isabs(each) and os.path.realpath(each) == folder for each in entries]
    if any(ours):
        # By the name that it has there, which may be a link.
        entries = [os.path.abspath(each) if mine else each for each, mine in zip(entries, ours)]
        os.environ["PYTHONPATH"] = os.pathsep.join(entries)


def say(text):
    # One line, whatever a file or a value in it is called.
    text = "".join(each if " " <= each < "\x7f" or each > "\x9f" else repr(each)[1:-1] for each in text)
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (AttributeError, EnvironmentError):
        pass  # it is closed, so that nobody can be told; status() says the same
