"""The load of a bench: client processes that send what was built beforehand.

The clients share the machine with the server they measure. So they do next to nothing
while the clock runs: a connection for each request (Odoo's workers close it anyway),
send ready bytes, read the answer. What they use of the processor is measured and shown.
"""

import hashlib
import hmac
import multiprocessing
import re
import socket
import time
from dataclasses import dataclass, field

TIMEOUT = 30
MARK = b"@@@@@@@@"  # stands in a body where the number of the event goes


@dataclass(frozen=True)
class Target:
    """Something to measure: an address, and how its n-th request looks."""

    name: str
    path: str
    body: bytes = b""  # empty: GET
    secret: str = ""

    def request(self, number, port):
        """The whole n-th request, signed now."""
        head = f"HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        if not self.body:
            return f"GET {self.path} {head}\r\n".encode()
        body = self.body.replace(MARK, b"%08d" % number)
        head += (
            "User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n"
            "Accept: */*; q=0.5, application/xml\r\n"
            "Content-Type: application/json; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"Stripe-Signature: {signature(body, self.secret)}\r\n"
        )
        return f"POST {self.path} {head}\r\n".encode() + body


def signature(body, secret):
    """Stripe's signature header, with the real time."""
    now = int(time.time())
    signed = b"%d.%s" % (now, body)
    code = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={now},v1={code}"


@dataclass
class Phase:
    """What came out of one target in one round, or of several rounds together."""

    latencies: list = field(default_factory=list)  # seconds, of what was answered 200
    accepted: list = field(default_factory=list)  # numbers of what was answered 200
    errors: list = field(default_factory=list)  # what came instead of 200
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
            pipe.send(send_all(requests, port, seconds))
    except (EOFError, KeyboardInterrupt):
        pass


def send_all(requests, port, seconds):
    phase = Phase()
    cpu = time.process_time()
    phase.start = now = time.monotonic()
    for number, request in requests:
        if now - phase.start > seconds:
            break
        before = now
        answer = exchange(request, port)
        now = time.monotonic()
        if answer == "200":
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
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end and length) and len(body) >= int(length[1])
