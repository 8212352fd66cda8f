"""What arms Python as it starts, beyond ``bootstrap/``; most of it parses on Python 2.7."""
