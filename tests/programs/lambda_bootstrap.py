"""Starts a handler by the rules of the bootstrap.py in AWS's images for Python.

The function's folder comes first, always. The layers come next, where PYTHONPATH is unset. ``OPT``
is where the test has what Lambda has in /opt.
"""

import os
import site
import sys

import awslambdaric.__main__ as client

task = os.environ["LAMBDA_TASK_ROOT"]
python = os.path.join(os.environ["OPT"], "python")
version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
layers = [os.path.join(python, "lib", version, "site-packages"), python]
if "PYTHONPATH" in os.environ:
    layers = []
sys.path[:0] = [task, *layers]
for folder in (task, *layers):
    site.addsitedir(folder)
os.environ.setdefault("PYTHONPATH", os.environ["LAMBDA_RUNTIME_DIR"])
client.main([task, os.environ["_HANDLER"]])
