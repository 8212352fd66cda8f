"""List what belongs to a frozen program that imports tlsfloor; PyInstaller executes this file.

PyInstaller follows the imports that it finds in the code. But the guard of a TLS library is
imported by a name that is known only when that library is loaded. And the verifier imports
libraries if they are there, which is no reason to freeze them into a program that lacks them.
"""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

LEFT_OUT = tuple(f"tlsfloor.{name}" for name in ("__main__", "cli", "deploy", "report"))

hiddenimports = collect_submodules("tlsfloor", filter=lambda name: not name.startswith(LEFT_OUT))
datas = collect_data_files("tlsfloor.peers")  # the certificate of its handshakes
excludedimports = ["OpenSSL", "aiohttp", "awscrt", "botocore", "httpx", "pycurl", "redis"]
excludedimports += ["requests", "rich", "tlslite", "urllib3"]
