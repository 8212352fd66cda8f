"""boto3 and botocore, each with the arguments that it takes from the environment alone.

An argument is a floor, to be set by a call. AWS SDKs of a program share nothing, so each is asked.
"""

import sys

import boto3
import botocore.session

FORMS = {
    "s3": lambda: boto3.client("s3").list_buckets()["Buckets"][0]["Name"],
    "dynamodb": lambda: boto3.resource("dynamodb").meta.client.list_tables()["TableNames"][0],
    "sts": lambda: (
        botocore.session.get_session().create_client("sts").get_caller_identity()["Account"]
    ),
}


def main():
    if sys.argv[1:]:
        import tlsfloor

        tlsfloor.enforce(sys.argv[1])
    told = []
    for ask in FORMS.values():
        try:
            told.append(ask())
        except botocore.exceptions.SSLError as error:
            told.append(str(error))
    print("boto3 and botocore:", *told)
    if all("SSL" in each for each in told):
        raise SystemExit(1)


main()
