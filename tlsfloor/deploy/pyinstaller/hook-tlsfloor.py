"""What belongs to a frozen program that imports tlsfloor; PyInstaller executes this file.

PyInstaller follows imports that it can read. The guard of a TLS library is imported by a name that
is known only when that library is loaded. And the verifier can try more libraries than a program
has: they are not a reason to freeze them into it.
"""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

LEFT_OUT = tuple(f"tlsfloor.{each}" for each in ("__main__", "cli", "deploy", "report"))

hiddenimports = collect_submodules("tlsfloor", filter=lambda name: not name.startswith(LEFT_OUT))
datas = collect_data_files("tlsfloor.peers")  # the certificate of its handshakes
excludedimports = ["OpenSSL", "aiohttp", "awscrt", "botocore", "httpx", "pycurl", "redis"]
excludedimports += ["requests", "rich", "tlslite", "urllib3"]
