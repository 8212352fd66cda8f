"""``start.py`` in a program that arms itself: ``called.py FOLDER CHILDREN [WAY] PORT...``.

CHILDREN is 1 to hand the floor on. In the block that a child of multiprocessing does not execute,
as most programs that start any.
"""

import os
import sys

if __name__ == "__main__":
    sys.path[:0] = [sys.argv[1], os.path.dirname(os.path.abspath(__file__))]
    import tlsfloor

    tlsfloor.enforce("1.2", children=sys.argv[2] == "1")
    import start

    start.main(sys.argv[3:])
