"""The judge: proves by handshakes what an interpreter really accepts.

It shares no code with the guards that it judges, only names of versions and the error tree, so a
fault of enforcement cannot hide from it. The parts, in the order in which they work:

* ``cases``: what is tried, as data;
* ``find``: the interpreters at or below a path, none of which it starts;
* ``binary``: what a file is by its bytes, so that nothing is started that is no Python;
* ``examine``: both launches of each interpreter, and what all of it comes to;
* ``surroundings``: what an interpreter under test gets of the process that starts it;
* ``launch``: starts the probe, and turns whatever happens into observations;
* ``line``: a socket that keeps what it heard first, and can end what is endless;
* ``peers``: the other end, which the judge brings itself: it must be able to say yes;
* ``bounded``: runs one foreign program within bounds of time, output and what it leaves behind;
* ``probe``: the program that runs inside the interpreter under test; it observes, and never judges;
* ``judge``: what the observations mean;
* ``report``: what a person reads;
* ``formats``: what programs read, as JSON and JUnit XML;
* ``sarif``: what code hosts read.

Endpoints are looked at from outside, with the same ``line`` and ``peers``:

* ``offer``: a ClientHello of one version and one kind of key exchange;
* ``attempts``: one such hello, or a handshake, against an endpoint, and what it came to;
* ``negotiation``: what this interpreter gets by itself, through urllib3;
* ``endpoints``: the examination of an endpoint, and its judgement.

``hello`` is the quick evidence, for this process alone.

The module can be called: ``tlsfloor.verify("1.2")`` is ``hello.verify("1.2")``.
"""
