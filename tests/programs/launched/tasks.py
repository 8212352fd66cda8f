"""A task of Celery, handed over in files."""

import os

from app import report as say
from celery import Celery

FOLDER = os.environ["QUEUE"]

app = Celery(broker="filesystem://", backend="file://" + FOLDER)
app.conf.broker_transport_options = {
    "data_folder_in": FOLDER,
    "data_folder_out": FOLDER,
    "control_folder": FOLDER,
}


@app.task
def report(ports):
    return say(ports)
