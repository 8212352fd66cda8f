"""Which TLS versions an endpoint accepts, and whether a floor would cut it off: ``check``."""
