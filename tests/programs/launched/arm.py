"""What arms a program that cannot be changed, where its launcher can run a file before it."""

import tlsfloor

tlsfloor.enforce("1.2")
