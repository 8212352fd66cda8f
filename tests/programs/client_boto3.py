"""boto3: the S3 client's own context, lowered where botocore keeps it: no argument reaches it."""

import ssl

import boto3
from botocore.config import Config


def connect(port, job, made):
    client = boto3.client(
        "s3",
        endpoint_url=f"https://localhost:{port}",
        verify=job["ca"],
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="secret",
        config=Config(retries={"max_attempts": 0}),
    )
    pool = client._endpoint.http_session._manager.connection_pool_kw
    pool["ssl_context"].minimum_version = ssl.TLSVersion.TLSv1
    pool["ssl_context"].set_ciphers("ALL:@SECLEVEL=0")
    assert client.list_buckets()["Buckets"] == []
