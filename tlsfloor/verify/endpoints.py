"""What an endpoint accepts: every version, with both kinds of key exchange, and what this Python gets.

Two strengths of evidence. A crafted *hello* offers one version and one kind of key exchange, and the
first answer is read: a ServerHello or an alert. It works against anything that speaks TLS, whatever it wants
later (a client certificate, say). Where it was accepted a full *handshake* by tlslite-ng follows, which
can only confirm: one that fails is noted, and takes nothing back.

A refusal counts only beside something that was accepted: an endpoint that accepts nothing may refuse for
any reason. Whatever it does is data, and ends in time: each connection has a deadline and a bound of bytes.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tlsfloor import versions
from tlsfloor.verify import peers
from tlsfloor.verify.offer import client_hello, offers
