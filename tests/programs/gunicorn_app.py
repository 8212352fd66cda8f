"""A Flask application, which is loaded in the worker: a floor that it arms is a late one."""

import json
import os

from flask import Flask, request

job = json.loads(os.environ["TEST_JOB"])

if job["route"] == "late":
    import tlsfloor

    tlsfloor.enforce(job["floor"])

app = Flask(__name__)


@app.route("/")
def hello():
    print(request.environ["gunicorn.socket"].version(), flush=True)
    return "hello"
