"""The report on the events of many processes: who uses which TLS version, what a floor would break.

From the files to the answer, each line with the modules that do it:

- find files and lines: ``reader``. What is a report in many lines: ``documents``.
- let an engine read large files: ``on_duckdb``, ``on_spark`` (``spark_driver`` is for its cluster).
  Both run ``groups.sql``, and ``groups`` says what a row of its answer means.
- sum up events, in bounded memory: ``tally``, with the set and the timeline of ``sums``.
- write the sums as events, and read those: ``condensed``.
- collect what ``verify``, ``check``, ``stacks`` and ``status`` found: ``machines``.
- judge: ``impact`` the events, ``fleet`` the machines. Compare with an earlier answer: ``changes``.
- write: ``as_text``, ``as_html`` and ``as_json``, in the words of ``phrases``.

Nothing in an event file is trusted. A line may be malformed or huge, and a peer can choose the text
of a field: a client that connects to a server chooses ``server_name``, for example.
"""
