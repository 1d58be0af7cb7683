"""The work of bin/demo: servers of its own, the story, then an Odoo to look at."""

import argparse
import fcntl
import http.client
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

from . import odoo_log
from .demo_mail import Mailbox
from .paths import REPOSITORY, cache_folder
from .provision import provision
from .say import fail, say, step

DATABASE = "affiliate_demo"
HOST = "127.0.0.1"
LOGINS = {
    "manager": ("admin", "admin"),
    "affiliate": ("drona@partners.example", "drona-29-demo"),
}
# The stand-in's clock starts so long ago that the holds of the first payments are over
# today, and the last renewal's is not.
STORY_DAYS = 70
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
START_SECONDS = 180
STOP_SECONDS = 20
TAIL_LINES = 25


def main(arguments):
    options = parse(arguments)
    check_ports(options)
    for name in INTERRUPTS:
        signal.signal(name, _interrupt)
    with alone(cache_folder()):
        ground = provision()
        try:
            ground.fresh_database(DATABASE)
            with Mailbox(ground.cache / "demo-mail") as mailbox:
                demo = Demo(ground, options, mailbox)
                try:
                    return demo.run()
                finally:
                    demo.stop()
        finally:
            leave_alone()
            stop_postgres(ground)


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="bin/demo",
        description="Odoo 19 earns affiliate commissions from Stripe payments.",
    )
    parser.add_argument(
        "--exit",
        action="store_true",
        help="stop after the story; status 0 only if every amount was as expected",
    )
    parser.add_argument("--port", type=int, default=8069, help="Odoo's port (8069)")
    parser.add_argument(
        "--stripe-port", type=int, default=4242, help="port of the Stripe double (4242)"
    )
    parser.add_argument(
        "--site-port", type=int, default=8070, help="port of the sample site (8070)"
    )
    return parser.parse_args(arguments)


def check_ports(options):
    """Complain before anything takes time."""
    wanted = {
        "--port": options.port,
        "--stripe-port": options.stripe_port,
        "--site-port": options.site_port,
    }
    if len(set(wanted.values())) < len(wanted):
        fail(f"{', '.join(wanted)} must be different ports.")
    for option, port in wanted.items():
        if not 0 < port < 65536:
            fail(f"{option} {port} is not a port: choose one from 1024 to 65535.")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except PermissionError:
                fail(f"only root may use port {port}; choose another with {option}.")
            except OSError:
                fail(f"port {port} is in use; choose another one with {option}.")


@contextmanager
def alone(cache):
    """Two demos would drop each other's database."""
    with (cache / "demo.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fail("another bin/demo is running with the same cache; stop it first.")
        yield


def leave_alone():
    """From now on all is stopped: a second Ctrl-C would leave something behind."""
    for name in INTERRUPTS:
        signal.signal(name, signal.SIG_IGN)


def stop_postgres(ground):
    if ground.stop_postgres():
        say("PostgreSQL is stopped.")
    else:
        say("PostgreSQL goes on: another command uses it.")


def _interrupt(_signal, _frame):
    raise KeyboardInterrupt


class Server:
    """A process of ours, in a session of its own: Ctrl-C reaches it only through us."""

    def __init__(self, command, log, env):
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd="/",
                start_new_session=True,
            )

    @property
    def runs(self):
        return self.process.poll() is None

    def stop(self):
        if self.runs:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Demo:
    """The servers of one demo, and what is done with them."""

    def __init__(self, ground, options, mailbox):
        self.ground = ground
        self.options = options
        self.mailbox = mailbox
        self.odoo_url = f"http://{HOST}:{options.port}"
        self.stripe_url = f"http://{HOST}:{options.stripe_port}"
        # Another name of this machine: for browsers another site.
        self.site_url = f"http://localhost:{options.site_port}"
        self.environ = dict(ground.environ(), PYTHONUNBUFFERED="1")
        self.servers = {}

    def run(self):
        with step("starting Odoo, the Stripe double and the sample site"):
            self.start_stripe()
            self.start_site()
            self.start_odoo()
            self.wait_until_up(
                "the Stripe double", self.options.stripe_port, "/_double"
            )
            self.wait_until_up("the sample site", self.options.site_port, "/style.css")
            self.wait_until_up("Odoo", self.options.port, "/web/health")
        status = self.tell_story()
        if status:
            self.show_log()
        elif not self.options.exit:
            self.serve()
        return status

    # -- the servers

    def start_stripe(self):
        now = int(time.time()) - STORY_DAYS * 86400
        self.servers["the Stripe double"] = Server(
            [
                *(self.ground.python, REPOSITORY / "tests" / "stripe_double"),
                *("--port", self.options.stripe_port, "--now", now, "--ticking"),
            ],
            self.ground.cache / "log" / "demo-stripe.log",
            self.environ,
        )

    def start_site(self):
        self.servers["the sample site"] = Server(
            [
                *(self.ground.python, "-m", "support.site"),
                *("--port", self.options.site_port),
            ],
            self.ground.cache / "log" / "demo-site.log",
            self.environ,
        )

    def start_odoo(self):
        command = self.ground.odoo_command(
            DATABASE,
            *("--http-interface", HOST, "--http-port", self.options.port),
            *("--workers", 0, "--max-cron-threads", 2),
            *("--smtp", HOST, "--smtp-port", self.mailbox.port),
            *("--email-from", "odoo@acme.example"),
            # Every request of every page would be a line.
            *("--log-handler", "werkzeug:WARNING,stripe:WARNING"),
        )
        log = self.ground.cache / "log" / "demo-odoo.log"
        self.servers["Odoo"] = Server(command, log, self.environ)

    def wait_until_up(self, name, port, path):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if not self.servers[name].runs:
                break
            with suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(HOST, port, timeout=5)
                connection.request("GET", path)
                status = connection.getresponse().status
                connection.close()
                if status < 500:
                    return
            time.sleep(0.2)
        log = self.servers[name].log
        print("\n".join(tail(log)), file=sys.stderr)
        fail(f"{name} did not start (see {log}).")

    def stop(self):
        leave_alone()
        for server in self.servers.values():
            server.stop()

    # -- the story

    def tell_story(self):
        """Run the story with the Python that has the `stripe` package."""
        command = [
            *(self.ground.python, "-m", "support.story"),
            *("--odoo", self.odoo_url, "--stripe", self.stripe_url),
            *("--site", self.site_url),
            *("--database", DATABASE, "--mail", self.mailbox.folder),
            *("--config", self.ground.config),
            *("--manager", ":".join(LOGINS["manager"])),
            *("--affiliate", ":".join(LOGINS["affiliate"])),
        ]
        story = subprocess.Popen(
            list(map(str, command)), env=self.environ, stdin=subprocess.DEVNULL
        )
        try:
            return story.wait()
        finally:
            if story.poll() is None:
                story.terminate()
                story.wait()

    def show_log(self):
        log = self.servers["Odoo"].log
        print(f"\nThe end of Odoo's log ({log}):", file=sys.stderr)
        print("\n".join(tail(log)), file=sys.stderr)
        found = odoo_log.complaints(log)
        if found:
            print("\nWarnings and errors in it:", file=sys.stderr)
            print("\n".join(dict.fromkeys(found)), file=sys.stderr)

    # -- serving

    def serve(self):
        """Until Ctrl-C, or until a server ends."""
        print(self.card(), flush=True)
        shown = len(self.mailbox.letters())
        try:
            while all(server.runs for server in self.servers.values()):
                time.sleep(0.5)
                letters = self.mailbox.letters()
                for letter in letters[shown:]:
                    to, subject = letter["To"], letter["Subject"]
                    say(f"Odoo sent a mail to {to}: {subject}")
                shown = len(letters)
        except KeyboardInterrupt:
            print("\nStopping ...", flush=True)
            return
        name = next(name for name, server in self.servers.items() if not server.runs)
        print("\n".join(tail(self.servers[name].log)), file=sys.stderr)
        fail(f"{name} has ended by itself (see {self.servers[name].log}).")

    def card(self):
        width = min(shutil.get_terminal_size().columns, 78)
        return "\n".join(
            (
                "─" * width,
                f"  Odoo         {self.odoo_url}",
                f"    manager    {' / '.join(LOGINS['manager'])}",
                f"    affiliate  {' / '.join(LOGINS['affiliate'])}, at /my/affiliate",
                f"    public     {self.odoo_url}/affiliates",
                f"  Site         {self.site_url}/?via=DRONA29 (a sample, to play with)",
                f"  Stripe       {self.stripe_url} (the test double)",
                f"  Mails        stay here: {self.mailbox.folder}",
                f"  Logs         {self.ground.cache / 'log'}/demo-*.log",
                "",
                "  Ctrl-C stops all of it.",
                "─" * width,
            )
        )


def tail(log):
    with suppress(OSError):
        return log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    return []
