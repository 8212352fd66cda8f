"""Workers that run before the program arms itself: ``pools.py KIND WHEN PORT...``.

It starts a worker of that kind, calls ``enforce()`` if WHEN is "called", and lets a worker report.
With WHEN "advice" the workers that report call it, in the way that the kind has for it.
"""

import json
import sys

from app import report


def forkserver(ports, enforce, advice):
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, context) as pool:
        pool.submit(abs, -1).result()
    enforce()
    with ProcessPoolExecutor(1, context, **advice) as pool:
        return pool.submit(report, ports).result()


def interpreters(ports, enforce, advice):
    from concurrent.futures import InterpreterPoolExecutor

    enforce()
    with InterpreterPoolExecutor(1, **advice) as pool:
        return pool.submit(report, ports).result()


def loky(ports, enforce, advice):
    from loky import get_reusable_executor

    get_reusable_executor(1).submit(abs, -1).result()
    enforce()
    return get_reusable_executor(1, **advice).submit(report, ports).result()


def dask(ports, enforce, advice):
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.submit(abs, -1).result()
        enforce()
        if advice:
            client.run(advice["initializer"], *advice["initargs"])
        return client.submit(report, ports).result()


def main(kind, when, *ports):
    advice = {}
    if when == "advice":
        import tlsfloor

        advice = {"initializer": tlsfloor.enforce, "initargs": ("1.2",)}

    def enforce():
        if when == "called":
            import tlsfloor

            tlsfloor.enforce("1.2")

    print(json.dumps(globals()[kind](ports, enforce, advice)))


if __name__ == "__main__":
    main(*sys.argv[1:])
