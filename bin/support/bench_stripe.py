"""Stripe's side of a bench: the double as a process of its own, and its webhooks."""

import http.client
import json
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

from .bench_load import exchange
from .bench_server import free_ports
from .paths import REPOSITORY
from .say import fail

SENDERS = 4


class Double:
    """The control of a double in another process (its own client needs `stripe`)."""

    def __init__(self, port):
        self.port, self.url = port, f"http://127.0.0.1:{port}"

    def __getattr__(self, name):
        return lambda **arguments: self._call(name, arguments)

    def _call(self, name, arguments):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST", f"/_double/{name}", json.dumps(arguments))
        answer = json.loads(connection.getresponse().read())
        connection.close()
        if "error" in answer:
            fail(f"the double refused {name}: {answer['error']['message']}")
        return answer["result"]


@contextmanager
def stripe_double(ground, *options):
    """The double as a process of its own."""
    port = free_ports(1)[0]
    command = [ground.python, REPOSITORY / "tests" / "stripe_double", "--port", port]
    process = subprocess.Popen(
        list(map(str, [*command, "--deliver", "manual", "--ticking", *options])),
        stdout=subprocess.DEVNULL,
    )
    try:
        for _attempt in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield Double(port)
    finally:
        process.terminate()
        process.wait()


# --- webhooks -----------------------------------------------------------------------


def renewals(double, count):
    """The deliveries of so many invoices that are paid now."""
    double.renew(count=count)
    return double.take()


def raw_request(delivery):
    url, headers, body = delivery
    data = body.encode()
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(
        (
            f"POST {urlsplit(url).path} HTTP/1.1",
            f"Host: {urlsplit(url).netloc}",
            f"Content-Length: {len(data)}",
            "Connection: close",
            *lines,
        )
    )
    return head.encode() + b"\r\n\r\n" + data


def post_all(requests, port, rate=None):
    """Post all, some at the same time; again what was not answered with 200."""
    start = time.monotonic()

    def send(numbered):
        number, request = numbered
        if rate:
            time.sleep(max(0, start + number / rate - time.monotonic()))
        for _attempt in range(100):
            if exchange(request, port) == "200":
                return
            time.sleep(0.2)
        fail("the webhook accepts nothing.")

    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(send, enumerate(requests)))
