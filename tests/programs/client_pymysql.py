"""PyMySQL: a context of the program's own."""

import ssl

import pymysql


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def connect(port, job, context):
    database = pymysql.connect(host="localhost", port=port, user="me", ssl=context)
    try:
        return database._sock.version()
    finally:
        database.close()
