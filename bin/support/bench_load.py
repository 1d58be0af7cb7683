"""The load of a bench: client processes that send what was built beforehand.

The clients share the machine with the server they measure. So they do next to nothing
while the clock runs: a connection for each request (Odoo's workers close it anyway),
send ready bytes, read the answer. What they use of the processor is measured and shown.
"""

import hashlib
import hmac
import ipaddress
import multiprocessing
import re
import socket
import time
from dataclasses import dataclass, field

TIMEOUT = 30
FIRST = int(ipaddress.ip_address("10.0.0.0"))
STRIPE = {
    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    "Accept": "*/*; q=0.5, application/xml",
    "Content-Type": "application/json; charset=utf-8",
}
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Sec-Fetch-Dest": "document",
}
MARK = b"@@@@@@@@"  # stands in a body where the number of the event goes


@dataclass(frozen=True)
class Target:
    """Something to measure: an address, and how its n-th request looks."""

    name: str
    path: str
    body: bytes = b""  # empty: GET
    headers: dict = field(default_factory=dict)
    secret: str = ""  # signs the body as Stripe does
    # Each request comes from another address, by way of a proxy.
    from_everywhere: bool = False
    status: str = "200"  # of a good answer

    def request(self, number, port):
        """The whole n-th request, signed now."""
        body = self.body.replace(MARK, b"%08d" % number)
        headers = {"Host": f"127.0.0.1:{port}", "Connection": "close", **self.headers}
        if self.from_everywhere:
            headers["X-Forwarded-Host"] = headers["Host"]
            headers["X-Forwarded-For"] = str(ipaddress.ip_address(FIRST + number))
        if body:
            headers["Content-Length"] = len(body)
        if self.secret:
            headers["Stripe-Signature"] = signature(body, self.secret)
        lines = [f"{'POST' if body else 'GET'} {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body


def signature(body, secret):
    """Stripe's signature header, with the real time."""
    now = int(time.time())
    signed = b"%d.%s" % (now, body)
    code = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={now},v1={code}"


@dataclass
class Phase:
    """What came out of one target in one round, or of several rounds together."""

    latencies: list = field(default_factory=list)  # seconds, of good answers
    accepted: list = field(default_factory=list)  # numbers of good answers
    errors: list = field(default_factory=list)  # what came instead
    start: float = float("inf")
    end: float = 0.0
    client_cpu: float = 0.0
    server_cpu: float = 0.0

    @property
    def per_second(self):
        return len(self.latencies) / (self.end - self.start)

    def add(self, other):
        """Take in what another client measured at the same time."""
        self.latencies += other.latencies
        self.accepted += other.accepted
        self.errors += other.errors
        self.start = min(self.start, other.start)
        self.end = max(self.end, other.end)
        self.client_cpu += other.client_cpu


class Clients:
    """Processes that send requests at the same time, each one at a time."""

    def __init__(self, count, port):
        self.pipes, self.processes = [], []
        context = multiprocessing.get_context("spawn")  # nothing of ours inherited
        for _number in range(count):
            pipe, theirs = context.Pipe()
            process = context.Process(target=client, args=(theirs, port), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(pipe)
            self.processes.append(process)

    def run(self, target, first, each, seconds):
        """Send requests numbered from `first`, at most `each` of each client.

        Whoever runs out of requests before the time is over ends the phase for
        itself; the time really taken counts.
        """
        for index, pipe in enumerate(self.pipes):
            start = first + index * each
            pipe.send((target, range(start, start + each), seconds))
        for pipe in self.pipes:
            pipe.recv()  # all have built their requests
        for pipe in self.pipes:
            pipe.send("go")
        phase = Phase()
        for pipe in self.pipes:
            phase.add(pipe.recv())
        return phase

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(5)
            if process.is_alive():
                process.terminate()


def client(pipe, port):
    """What one client process does until its pipe is closed."""
    try:
        while True:
            target, numbers, seconds = pipe.recv()
            requests = [(number, target.request(number, port)) for number in numbers]
            pipe.send("ready")
            pipe.recv()
            pipe.send(send_all(requests, port, seconds, target.status))
    except (EOFError, KeyboardInterrupt):
        pass


def send_all(requests, port, seconds, status):
    phase = Phase()
    cpu = time.process_time()
    phase.start = now = time.monotonic()
    for number, request in requests:
        if now - phase.start > seconds:
            break
        before = now
        answer = exchange(request, port)
        now = time.monotonic()
        if answer == status:
            phase.latencies.append(now - before)
            phase.accepted.append(number)
        else:
            phase.errors.append(answer)
    phase.end = now
    phase.client_cpu = time.process_time() - cpu
    return phase


def exchange(request, port):
    """Send one request and read the answer; the status, or what broke.

    Hangs up as soon as the answer is complete, as Stripe and proxies do: a worker of
    Odoo waits up to 10 ms for more from a client that leaves the closing to it.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
            connection.sendall(request)
            answer = b""
            while not is_complete(answer):
                part = connection.recv(65536)
                if not part:
                    return "broken off"
                answer += part
    except OSError as error:
        return type(error).__name__
    return answer[9:12].decode("ascii", "replace")


def is_complete(answer):
    head, end, body = answer.partition(b"\r\n\r\n")
    if end and head[9:12] == b"204":  # has no body
        return True
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end and length) and len(body) >= int(length[1])
