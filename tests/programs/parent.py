"""A program with children: ``parent.py KIND WHERE PORT CA``.

WHERE says from where it arms by a call: "module" (of the main module), "main" (below the usual
``if``), "children" (there too, and for them), "nowhere". KIND is how it makes its child.
"""

import json
import os
import subprocess
import sys

import child

INTERPRETER = """
import json, os, sys
sys.path[:] = {path!r}
import child
os.write({writer}, json.dumps(child.attempt({port}, {ca!r})).encode())
"""

kind, where, port, ca = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]

if where == "module":
    import tlsfloor

    tlsfloor.enforce("1.2")


def by_subprocess():
    done = subprocess.run(
        [sys.executable, child.__file__, str(port), ca], stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def by_multiprocessing():
    import multiprocessing

    context = multiprocessing.get_context(kind)
    with context.Pool(1) as pool:
        return pool.apply(child.attempt, (port, ca))


def by_executor():
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context(kind.split()[1])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(child.attempt, port, ca).result()


def by_os_fork():
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, json.dumps(child.attempt(port, ca)).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(reader, 65536))


def by_interpreter():
    reader, writer = os.pipe()
    code = INTERPRETER.format(path=sys.path, writer=writer, port=port, ca=ca)
    if sys.version_info >= (3, 14):
        from concurrent import interpreters

        interpreters.create().exec(code)
    elif sys.version_info >= (3, 13):
        import _interpreters

        problem = _interpreters.exec(_interpreters.create(), code)
        assert problem is None, problem
    else:
        import _xxsubinterpreters

        _xxsubinterpreters.run_string(_xxsubinterpreters.create(), code)
    return json.loads(os.read(reader, 65536))


if __name__ == "__main__":
    if where in ("main", "children"):
        import tlsfloor

        tlsfloor.enforce("1.2", children=where == "children")
    make = {"subprocess": by_subprocess, "os.fork": by_os_fork, "interpreter": by_interpreter}
    function = make.get(kind, by_executor if " " in kind else by_multiprocessing)
    print(json.dumps(function()), flush=True)
    if kind == "interpreter":
        # CPython 3.12.1 dies of a double free as it ends its interpreters, floor or no floor.
        os._exit(0)
