"""Serve the sample site:  python -m support.site --port PORT

What the pages need to know (Odoo's address, the programme's key, addresses of the
payment links) is posted as JSON to /_settings, from this machine.
"""

import argparse
import json
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

FOLDER = Path(__file__).parent
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
PAGES = {"/": "index.html", "/pricing": "pricing.html", "/signup": "signup.html"}
settings = {}


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        path = urlsplit(self.path).path
        file = FOLDER / PAGES.get(path, Path(path).name)
        if file.suffix not in KINDS or not file.is_file():
            self.answer(404, "text/plain", "There is no such page.")
            return
        text = file.read_text(encoding="utf-8")
        for name, value in settings.items():
            text = text.replace(f"[[{name}]]", escape(value))
        self.answer(200, KINDS[file.suffix], text)

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        if self.path == "/_settings":
            settings.update(json.loads(self.rfile.read(length)))
        self.answer(204 if self.path == "/_settings" else 404, "text/plain", "")

    def answer(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Every request of every page would be a line."""


def main():
    parser = argparse.ArgumentParser(prog="support.site")
    parser.add_argument("--port", type=int, required=True)
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Site).serve_forever()


main()
