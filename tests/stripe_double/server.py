"""The socket side: HTTP/1.1 with keep-alive on the standard library."""

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .chaos import ConnectionLost
from .errors import ApiError


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet
    server_version = "nginx"
    sys_version = ""

    def _handle(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        double = self.server.double
        try:
            if self.path.startswith("/v1/"):
                answer = double.app.handle(self.command, self.path, self.headers, body)
                status, data, extra = answer.status, answer.body, answer.headers
                kind = "application/json"
            else:
                status, kind, data, extra = double.control(
                    self.command, self.path, body
                )
        except ConnectionLost:
            self.close_connection = True
            return
        except Exception as error:  # a fault of the double must be seen, not hidden
            double.fault(error)
            status, kind, extra = 500, "application/json", {}
            problem = ApiError(f"Stripe double: {error!r}", type="api_error")
            data = json.dumps(problem.body("req_fault")).encode()
        self._reply(status, kind, data, extra)

    def _reply(self, status, kind, data, extra):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in extra.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = do_PATCH = _handle

    def log_message(self, *args):
        """Silent: ``double.requests`` is the log."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address, double):
        self.double = double
        self.open = set()
        super().__init__(address, Handler)

    def process_request(self, request, client_address):
        self.open.add(request)
        return super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.open.discard(request)
        return super().shutdown_request(request)

    def close_all(self):
        """Stop listening and hang up on everybody."""
        self.server_close()
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):
        """Clients that hang up are part of the game."""


def serve(double, host, port):
    """Start in a thread; returns the running server."""
    server = Server((host, port), double)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    return server
