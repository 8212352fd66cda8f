"""Kept for start-up files and package metadata of earlier versions; nothing else uses it."""

from tlsfloor.startup.opentelemetry import stay_in_front, under_opentelemetry

__all__ = ["stay_in_front", "under_opentelemetry"]
