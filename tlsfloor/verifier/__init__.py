"""Prove which TLS versions an interpreter accepts.

The verifier shares only ``errors``, ``versions`` and ``wire`` with the code that holds a floor, so
a fault in enforcement cannot hide from verification (``docs/explanation/design.md``). Its modules,
in the order in which they work:

* ``find`` finds the interpreters at or below a path, without starting any;
* ``cases`` says what is tried, as data;
* ``environment`` chooses what an interpreter gets from this process;
* ``alike`` decides which virtual environments behave alike, so that one is tried for all;
* ``schedule`` examines many interpreters, ``workers`` in several processes;
* ``fingerprint`` tells whether anything has changed, ``resume`` takes over what has not;
* ``examine`` launches each interpreter in several ways;
* ``launch`` starts the probe once, with a peer of ``tlsfloor.peers`` for each case;
* ``child`` runs a foreign program with limits;
* ``probe`` and ``probe_clients`` run inside the interpreter under test and report what happened;
* ``judge`` concludes outcomes and verdicts;
* ``text``, ``formats`` and ``sarif`` write the report.

``in_process`` is separate: it is ``tlsfloor.verify()``, which tries only this process, in memory.
"""
