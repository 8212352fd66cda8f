"""The report on the events of many processes: who uses which TLS version, what a floor would break.

``lines`` reads the files that ``TLSFLOOR_EVENTS`` names, ``tally`` sums up their events one by one,
``answer`` judges the sums. ``text``, ``page`` (HTML) and ``data`` (JSON) write the answer, in the
phrases of ``words``.

Nothing in an event file is trusted. A line may be malformed or huge, and a peer can choose the text
of a field: a client that connects to a server chooses ``server_name``, for example.
"""
