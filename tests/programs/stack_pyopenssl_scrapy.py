"""Scrapy, whose TLS is that of Twisted, with settings for an old site.

Twisted takes the security level out of the ciphers, so that it is OpenSSL's own configuration's.
"""

import os
import threading

os.environ["OPENSSL_CONF"] = os.path.join(os.path.dirname(__file__), "lenient.cnf")

import scrapy
from scrapy.crawler import CrawlerRunner
from twisted.internet import reactor

STACK = "pyopenssl"
NEEDS = ("OpenSSL", "scrapy")
SETTINGS = {
    "DOWNLOADER_CLIENT_TLS_CIPHERS": "ALL",
    "DOWNLOAD_TLS_MIN_VERSION": "TLSv1.0",  # since Scrapy 2.14
    "LOG_ENABLED": False,
    "RETRY_ENABLED": False,
    "TELNETCONSOLE_ENABLED": False,
    "TWISTED_REACTOR": None,
}


class Spider(scrapy.Spider):
    name = "page"

    async def start(self):
        yield self.request()

    def start_requests(self):  # of Scrapy before 2.13
        yield self.request()

    def request(self):
        return scrapy.Request(self.url, self.took, errback=self.failed, dont_filter=True)

    def took(self, response):
        self.came.append(response.text)

    def failed(self, failure):
        self.came.append(failure.value)


def prepare(job):
    threading.Thread(target=reactor.run, args=(False,), daemon=True).start()


def connect(port, job, made):
    came, ended = [], threading.Event()

    def crawl():
        crawling = CrawlerRunner(SETTINGS).crawl(
            Spider, url=f"https://localhost:{port}/", came=came
        )
        crawling.addBoth(lambda result: ended.set())

    reactor.callFromThread(crawl)
    assert ended.wait(20)
    if not isinstance(came[0], str):
        raise came[0]
    return came[0].split(" : ")[1].strip()
