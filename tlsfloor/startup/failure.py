"""Do what TLSFLOOR_ON_ERROR chooses if arming fails as Python starts.

It must parse on Python 2.7, as the start-up files must. Its state is in sys._tlsfloor.
"""
import os
import sys


# Misspelt names, without their prefix TLSFLOOR_, and the variable that was probably meant.
LIKELY_NAMES = {name: "TLSFLOOR_" + name for name in "ON_ERROR MODE UNCOVERED STACKS UNKNOWN EVENTS EXEMPTIONS LABELS".split()}
LIKELY_NAMES.update(dict.fromkeys(("", "S", "FLOOR", "VERSION", "MIN", "MIN_VERSION", "MINIMUM"), "TLSFLOOR"))


def chosen_outcome(starting=False):
    """Return the strictest outcome that is asked for; block if none is, or an unknown one.

    Mode observe changes nothing, so it refuses nothing. But "abort" means that no process may run whose
    configuration cannot be understood: such a process ends as it starts, and not when a single stack cannot be
    observed later.
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
    """Do what the outcome says; return the text of the refusal if TLS is to be refused."""
    problem, _, hint = str(error).partition("; hint: ")
    if sys._tlsfloor.get("held", 0) > 0:  # else no floor is armed, and the problem names who asks for one
        problem += "; the floor is 1.%d, set by %s" % (sys._tlsfloor["held"] - 0x0301, sys._tlsfloor["set_by"])
    text = "tlsfloor: error: %s; hint: %s" % (problem, hint or "run `tlsfloor status`")
    known = sys._tlsfloor.get("failure") == text  # a stack of several modules, or imported again
    sys._tlsfloor["failure"] = text
    outcome = chosen_outcome(starting)
    if outcome == "block":
        return text
    if outcome == "warn":
        text += "; this process runs without the floor"
    if outcome == "abort" or not known:
        print_line(text)
    if outcome == "abort":
        os._exit(78)  # EX_CONFIG of sysexits.h; after an exception here the program would run
    return None


def refuse_all(error):
    """Do what the outcome says if nothing could be armed: refuse all TLS stacks, as if none were installed."""
    text = fail(error, starting=True)
    if text:
        import tlsfloor.startup.refusal as refusal

        names = {"ssl", "_ssl", "_cffi_ssl._stdssl"}.union(refusal.other_stacks(print_line))
        refusal.refuse_imports(names, lambda: text)


def name_unknown(environment):
    """Print which variables begin with TLSFLOOR and are none of ours, and which one may be meant."""
    known = set(LIKELY_NAMES.values())
    for name in sorted(name for name in environment if name.startswith("TLSFLOOR") and name not in known):
        import difflib
        import re

        # What Kubernetes sets for a service whose name is tlsfloor, or begins so.
        if re.search(r"_SERVICE_(HOST|PORT)(_\w+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$", name):
            continue
        likely = difflib.get_close_matches(name[8:].strip("_").upper(), LIKELY_NAMES, 1)
        hint = "write " + LIKELY_NAMES[likely[0]] if likely else "use one of " + ", ".join(sorted(known))
        print_line("tlsfloor: warning: %s is not a variable of tlsfloor and changes nothing; hint: %s" % (name, hint))


def make_absolute(folder):
    """Let children find the folder on PYTHONPATH from any current folder."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    ours = [not os.path.isabs(entry) and os.path.realpath(entry) == folder for entry in entries]
    if any(ours):
        # By the name that it has there, which may be a link.
        entries = [os.path.abspath(entry) if mine else entry for entry, mine in zip(entries, ours)]
        os.environ["PYTHONPATH"] = os.pathsep.join(entries)


def print_line(text):
    """Write one line to stderr, whatever a file or a value in it is called."""
    text = "".join(char if " " <= char < "\x7f" or char > "\x9f" else repr(char)[1:-1] for char in text)
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (AttributeError, EnvironmentError):
        pass  # it is closed; status() has the same text
