"""What keeps an S3 client of awscrt from trying again for seconds, in each version of it."""

from awscrt import s3


def few():
    if hasattr(s3, "S3RetryMode"):
        return {"retry_config": s3.S3RetryConfig(retry_mode=s3.S3RetryMode.NONE)}
    if hasattr(s3, "S3RetryConfig"):
        return {"retry_config": s3.S3RetryConfig(max_retries=1, backoff_scale_factor_ms=1)}
    return {}
