# The floor on Python 2.7, 3.6 and 3.7, where nothing else of tlsfloor runs.
import sys


def start_up_floor(environment, written):
    raise ImportError("Python %d.%d is too old; hint: use 3.8 or newer" % sys.version_info[:2])
