"""Polars, which contains rustls: TLS 1.2 with ECDHE is its lowest."""

import polars as pl

STACK = "polars"
NEEDS = ("polars",)
PEER = "hang up"
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe", "1.2 rsa")
REFUSED = ("1.3",)


def connect(port, job, made):
    options = {
        "aws_endpoint_url": f"https://localhost:{port}",
        "aws_access_key_id": "x",
        "aws_secret_access_key": "x",
        "aws_region": "x",
        "allow_invalid_certificates": "true",
        "max_retries": 0,
    }
    try:
        pl.scan_parquet("s3://x/x.parquet", storage_options=options).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        if "UNSUPPORTED_PROTOCOL" in str(error):
            raise
        return  # the peer hangs up, whatever the version was
