"""``python -m tlsfloor``: the same as the command ``tlsfloor``. It must parse on Python 2.7."""

import sys

if sys.version_info >= (3, 8):
    from tlsfloor.cli import main
else:
    sys.dont_write_bytecode = True  # 2.7 would write it next to the source, perhaps into a bundle
    from tlsfloor.startup.legacy_command import show_status as main  # type: ignore[assignment]

sys.exit(main())
