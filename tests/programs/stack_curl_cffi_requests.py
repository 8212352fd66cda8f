"""curl_cffi: a session of its ``requests``, which sets an option of libcurl for TLS 1.0."""

from curl_cffi import CurlOpt, requests

STACK = "curl_cffi"
NEEDS = ("curl_cffi",)


def connect(port, job, made):
    with requests.Session(verify=job["ca"], curl_options={CurlOpt.SSLVERSION: 4}) as session:
        return session.get(f"https://localhost:{port}/").text.split(" : ")[1].strip()
