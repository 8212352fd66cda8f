"""The report on the events of many processes: who uses which TLS version, what a floor would break.

``reader`` reads the files that ``TLSFLOOR_EVENTS`` names, ``tally`` sums up their events one by
one, and ``impact`` judges the sums. ``machines`` collects what ``verify``, ``check``, ``stacks``
and ``status`` found on many machines, which ``fleet`` judges. ``changes`` compares the answer with
an earlier one. ``as_text``, ``as_html`` and ``as_json`` write it, in the words of ``phrases``.

Nothing in an event file is trusted. A line may be malformed or huge, and a peer can choose the text
of a field: a client that connects to a server chooses ``server_name``, for example.
"""
