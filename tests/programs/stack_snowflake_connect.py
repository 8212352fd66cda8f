"""Snowflake's connector 5, whose core is written in Rust."""

import os

import snowflake.connector

STACK = "snowflake"
NEEDS = ("snowflake.connector._core",)
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe", "1.2 rsa")
REFUSED = ("1.3",)
AT_ONCE = True


def connect(port, job, made):
    os.environ["SSL_CERT_FILE"] = job["ca"]
    try:
        snowflake.connector.connect(
            account="x",
            user="x",
            password="x",
            host="localhost",
            port=port,
            login_timeout=1,
            insecure_mode=True,
        )
    except snowflake.connector.errors.Error as error:
        if "UNSUPPORTED_PROTOCOL" in str(error):
            raise
        return  # the peer is no Snowflake
