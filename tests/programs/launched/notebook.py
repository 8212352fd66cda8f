"""Runs a cell in a kernel of Jupyter, as a notebook does: ``notebook.py PORT...``."""

import sys

from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="floor")
try:
    cell = "import app, json; print(json.dumps(app.report({!r})))".format(sys.argv[1:])
    client.execute_interactive(cell, timeout=60)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
