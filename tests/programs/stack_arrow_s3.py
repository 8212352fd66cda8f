"""Arrow's S3, over the AWS SDK and libcurl: TLS 1.2 at least."""

from pyarrow import fs

STACK = "arrow"
ROW = "pyarrow._s3fs"
NEEDS = ("pyarrow",)
PEER = "hang up"
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe")
REFUSED = ("1.3",)


def connect(port, job, made):
    s3 = fs.S3FileSystem(
        access_key="x",
        secret_key="x",
        region="x",
        endpoint_override=f"localhost:{port}",
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=0),
        tls_ca_file_path=job["ca"],
    )
    try:
        s3.open_input_stream("b/x").read()
    except OSError as error:
        if "UNSUPPORTED_PROTOCOL" in str(error):
            raise
        return  # the peer hangs up, whatever the version was
