"""boto3 with the CRT: ``s3transfer`` makes an S3 client of awscrt."""

import functools
import os

import boto3
import s3transfer.crt
from awscrt.auth import AwsCredentialsProvider
from awscrt.s3 import S3Client
import s3_retries
from s3transfer.crt import BotocoreCRTRequestSerializer, CRTTransferManager, create_s3_crt_client

STACK = "awscrt"
NEEDS = ("awscrt", "boto3")
AT_ONCE = True


# It passes on no argument for retries, which would take seconds.
s3transfer.crt.S3Client = functools.partial(S3Client, **s3_retries.few())


def connect(port, job, made):
    os.environ.update(AWS_ACCESS_KEY_ID="id", AWS_SECRET_ACCESS_KEY="secret")
    session = boto3.Session(region_name="us-east-1")._session
    url = f"https://localhost:{port}"
    client = create_s3_crt_client(
        "us-east-1", AwsCredentialsProvider.new_static("id", "secret"), verify=job["ca"]
    )
    serializer = BotocoreCRTRequestSerializer(
        session, {"region_name": "us-east-1", "endpoint_url": url}
    )
    with CRTTransferManager(client, serializer) as manager:
        manager.delete("bucket", "key").result()
