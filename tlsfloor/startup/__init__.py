"""Arming as Python starts: what is loaded when the bootstrap file alone is not enough.

Most of it parses on Python 2.7.
"""
