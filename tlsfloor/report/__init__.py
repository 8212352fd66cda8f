"""One answer from the events of many processes: who still uses what, and what a floor would break.

``lines`` reads what ``TLSFLOOR_EVENTS`` wrote, ``tally`` sums it up as it comes, ``answer`` judges,
and ``table`` and ``page`` only write. Nothing in a file of events is trusted: not its form, not its
size, and not its texts, which anybody chose who named a server.
"""
