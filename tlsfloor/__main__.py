"""``python -m tlsfloor``: the same as the command ``tlsfloor``."""

import sys

from tlsfloor.cli import main

sys.exit(main())
