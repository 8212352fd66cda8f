"""The judge of endpoints: what a server accepts, for ``tlsfloor check``."""
