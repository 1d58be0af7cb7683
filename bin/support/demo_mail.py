"""A mail server that delivers nothing: Odoo's mails stay on this machine, to be read.

It knows as much SMTP as Odoo needs. Each letter is a file in a folder.
"""

import email
import email.policy
import shutil
import socketserver
import threading

LONGEST = 25 * 1024 * 1024


class Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        self.reply("220 demo")
        while line := self.rfile.readline(4096):
            verb = line[:4].upper().strip()
            if verb == b"EHLO":
                self.reply("250-demo\r\n250-8BITMIME\r\n250 SMTPUTF8")
            elif verb == b"DATA":
                self.reply("354 go on")
                self.server.mailbox.keep(self.read_letter())
                self.reply("250 kept")
            elif verb == b"QUIT":
                self.reply("221 bye")
                return
            else:
                self.reply("250 fine")

    def reply(self, text):
        self.wfile.write(f"{text}\r\n".encode())

    def read_letter(self):
        lines, size = [], 0
        while line := self.rfile.readline(LONGEST):
            size += len(line)
            if line in (b".\r\n", b".\n") or size > LONGEST:
                break
            lines.append(line[1:] if line.startswith(b"..") else line)
        return b"".join(lines)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class Mailbox:
    """The letters of one demo; a context manager."""

    def __init__(self, folder):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.lock = threading.Lock()
        self.count = 0
        self.server = Server(("127.0.0.1", 0), Conversation)
        self.server.mailbox = self
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()

    def keep(self, letter):
        with self.lock:
            self.count += 1
            path = self.folder / f"{self.count:04d}.eml"
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(letter)
        unfinished.rename(path)

    def letters(self):
        return read_letters(self.folder)


def read_letters(folder):
    """The letters in a folder, oldest first."""
    return [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in sorted(folder.glob("*.eml"))
    ]
