"""The command on Python 2.7, 3.6 and 3.7, which is `status` alone: a pod runs it as its probe.

It parses on all of them. The lines are those of tlsfloor/cli/status.py.
"""
import sys


# What happens to the TLS stacks other than ssl, by what TLSFLOOR_ON_ERROR chooses.
OTHERS = {
    "block": "refused, where tlsfloor knows them",
    "abort": "the process ends when one is imported, where tlsfloor knows them",
    "warn": "NOT held, and imported with a warning, where tlsfloor knows them",
}


def show_status():
    """Print whether this process starts with a floor; return 0 if one is held, else 1, or 2 for another command."""
    words = [word for word in sys.argv[1:] if word not in ("-q", "--quiet")]
    version = "%d.%d" % sys.version_info[:2]
    if words != ["status"]:
        from tlsfloor.startup.failure import print_line

        print_line("error: on Python %s the only command is status, without --json" % version)
        print_line("hint: run the others with Python 3.8 or newer, such as tlsfloor verify %s" % sys.executable)
        return 2
    held, lines = describe_process()
    if len(words) == len(sys.argv[1:]):
        # In one piece: `| head -1` may close the pipe after the first.
        sys.stdout.write("".join("%-12s %s\n" % line for line in lines))
    return 0 if held else 1


def describe_process():
    """Return whether a floor is held, and each line as its label and its text."""
    state, error = getattr(sys, "_tlsfloor", {}), ""
    try:
        import ssl  # noqa: F401
    except ImportError as refused:
        error = str(refused)
    floor, guarded = None, "nothing arms this process"
    if state.get("files"):
        import tlsfloor.startup.legacy as legacy

        found = legacy.describe_state()
        floor, guarded = found["floor"], found["state"]
    held = floor is not None and guarded == "guarded"
    what = "%s, %s" % (floor, "held" if held else "armed, but NOT held")
    lines = [("floor", what if floor else "none"), ("interpreter", sys.executable)]
    for each in state.get("files", []) if floor else ():
        route = "PYTHONPATH" if each["floor"] is None else "an installed file"
        lines.append(("armed", "by %s: %s" % (route, each["file"])))
    if floor:
        lines.append(("stack", "ssl: %s" % guarded))
        from tlsfloor.startup.failure import chosen_outcome

        lines.append(("stack", "others: %s" % OTHERS[chosen_outcome()]))
    problem = state.get("failure") or ("" if floor else "no floor is armed")
    if problem:
        lines.append(("problem", problem))
    if error:
        lines.append(("ssl", "cannot be imported: %s" % error))
    return held, lines
