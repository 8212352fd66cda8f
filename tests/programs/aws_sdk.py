"""boto3 and botocore as a user writes them; an argument is a floor, set by a call."""

import sys

if sys.argv[1:]:
    import tlsfloor

    tlsfloor.enforce(sys.argv[1])

import boto3
import botocore.session

sts = botocore.session.get_session().create_client("sts")
CALLS = {
    "boto3 s3": lambda: boto3.client("s3").list_buckets()["Buckets"][0]["Name"],
    "boto3 dynamodb": lambda: boto3.client("dynamodb").list_tables()["TableNames"][0],
    "botocore sts": lambda: sts.get_caller_identity()["Account"],
}
refused = 0
for name, call in CALLS.items():
    try:
        print(f"{name}: {call()}")
    except botocore.exceptions.SSLError as error:
        print(f"{name}: {error}")
        refused += 1
sys.exit(refused)
