"""The base of tests about mails that leave: over SMTP, into a mailbox of ours."""

import email.message
import importlib.util
import re
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from .web_common import PageCase

FORM = {
    "name": "Jane Writer",
    "email": "jane@books.example",
    "website": "books.example/jane",
    "wished_code": "jane-10",
    "motivation": "I write about books.\nEvery week.",
}
CONFIRM = r"https?://[^\s\"'<>]*/affiliates/confirm/[^\s\"'<>]*"


def _demo_mail():
    """The mail server of bin/demo: it is beside the addon, not a part of it."""
    path = Path(__file__).parents[1] / "bin" / "support" / "demo_mail.py"
    spec = importlib.util.spec_from_file_location("affiliate_demo_mail", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class ApplicationCase(PageCase):
    """Applicants who send the form, read their mails and press the button."""

    def setUp(self):
        super().setUp()
        folder = self.enterContext(tempfile.TemporaryDirectory())
        mailbox = _demo_mail().Mailbox(Path(folder) / "mail")
        self.post = self.enterContext(mailbox)
        self.server = self.env["ir.mail_server"].create(
            {"name": "Test", "smtp_host": "127.0.0.1", "smtp_port": self.post.port}
        )
        # Odoo sends nothing in tests unless told otherwise.
        servers = self.registry["ir.mail_server"]
        self.patch(servers, "_disable_send", lambda *_args: False)
        self.env["ir.config_parameter"].sudo().set_param(
            "web.base.url", self.base_url()
        )
        self.authenticate(None, None)

    # --- what people do ---

    def apply(self, status=200, program=None, headers=None, **values):
        """Send the form of the public page."""
        url = (program or self.program).website_url
        data = {**FORM, "csrf_token": self.csrf_token(self.get(url).text), **values}
        return self.get(f"{url}/apply", status, data=data, headers=headers)

    def run_cron(self):
        """Let the scheduled action run; return the letters that came of it."""
        known = len(self.letters())
        self.env.flush_all()
        self.env["affiliate.application"]._cron_process()
        self.env.invalidate_all()
        return self.letters()[known:]

    def letters(self) -> list[email.message.EmailMessage]:
        return self.post.letters()

    def text(self, letter):
        """All of a letter that its reader may see, and its headers."""
        body = letter.get_body(("html",)).get_content()
        return f"{letter.items()}\n{body}"

    def link(self, letter):
        """The path of the page behind the button of a letter."""
        body = letter.get_body(("html",)).get_content()
        return urlsplit(re.search(CONFIRM, body)[0]).path

    def press(self, path, status=200):
        """Open the page of a link and press the button on it."""
        token = self.csrf_token(self.get(path).text)
        page = self.get(path, status, data={"csrf_token": token})
        self.env.invalidate_all()
        return page

    def apply_and_confirm(self, **values):
        """Apply, read the mail, confirm; return the affiliate."""
        self.apply(**values)
        (letter,) = self.run_cron()
        self.press(self.link(letter))
        return self.applied(values.get("email", FORM["email"]))

    # --- what came of it ---

    def applied(self, email=FORM["email"]):
        """The affiliates whose applications have come from an address."""
        return self.env["affiliate.affiliate"].search(
            [("application_ids.email", "=", email)]
        )

    def applications(self):
        return self.env["affiliate.application"].search([], order="id")
