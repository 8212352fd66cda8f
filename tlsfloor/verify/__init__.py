"""The judge: proves by handshakes what an interpreter really accepts.

It shares no code with the guards that it judges, only names of versions and the error tree, so a
fault of enforcement cannot hide from it. The parts, in the order in which they work:

* ``cases``: what is tried, as data;
* ``peers``: the other end, which the judge brings itself: it must be able to say yes;
* ``probe``: the program that runs inside the interpreter under test; it observes, and never judges;
* ``judge``: what the observations mean;
* ``launch``: starts the probe, and turns whatever happens into observations;
* ``report``: what a person, or a program, reads.
"""
