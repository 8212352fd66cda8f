"""Answers of AWS, as little as its clients are content with: for ``ServerPeer(reply=answer)``.

So the endpoint speaks whichever version a test wants, and what a program makes of it is a result.
"""

from __future__ import annotations

#: Protocols of AWS name the operation in a header, in the body of a form, or by path alone. These
#: are real operations, with the members that their clients read.
_ANSWERS = {
    b"DynamoDB_20120810.ListTables": b'{"TableNames": ["floors"]}',
    b"Action=GetCallerIdentity": (
        b"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account>"
        b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
    ),
    b"Action=DescribeStacks": (
        b"<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>floors"
        b"</StackName><StackId>arn:aws:cloudformation:us-east-1:123456789012:stack/floors/1"
        b"</StackId><StackStatus>CREATE_COMPLETE</StackStatus><Tags><member>"
        b"<Key>parallelcluster:version</Key><Value>3.0.0</Value></member></Tags></member></Stacks>"
        b"</DescribeStacksResult></DescribeStacksResponse>"
    ),
    b"GET / ": (
        b"<ListAllMyBucketsResult><Buckets><Bucket><Name>floors</Name></Bucket></Buckets>"
        b"</ListAllMyBucketsResult>"
    ),
}


def answer(data: bytes, _version: int) -> bytes:
    """Return the answer to a request; empty as long as it is not whole."""
    head, end, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    if not end or len(body) < length:
        return b""
    page = next(answer for sign, answer in _ANSWERS.items() if sign in data)
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
        len(page),
        page,
    )
