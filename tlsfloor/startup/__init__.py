"""Arming as Python starts: what the start-up file of ``bootstrap/`` loads when it needs more.

Most of it parses on Python 2.7.
"""
