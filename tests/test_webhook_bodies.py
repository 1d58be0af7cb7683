"""What is posted to the webhook and is no delivery, or a very strange one."""

from odoo.tests import tagged

from .test_webhook import WebhookCase


@tagged("post_install", "-at_install")
class TestBodies(WebhookCase):
    def test_a_body_that_is_too_large_is_refused(self):
        huge = self.event(padding="x" * (5 * 1024 * 1024))
        with self.quiet():
            self.assertEqual(self.post_body(huge), 413)
        large = self.event(padding="x" * (900 * 1024))
        self.assertEqual(self.post_body(large), 200)
        self.assertEqual(len(self.events), 1)

    def test_signed_rubbish_is_refused_without_a_word(self):
        for name, body in {
            "empty": b"",
            "not json": b"hello",
            "not utf-8": b'{"id":"evt_\xff\xfe","object":"event"}',
            "latin-1": '{"id":"evt_é","object":"event"}'.encode("latin-1"),
            "cut": b'{"id":"evt_1","object":"event"',
            "list": b"[]",
            "text": b'"evt_1"',
            "null": b"null",
            "number": b"17",
            "other object": {"id": "cus_1", "object": "customer"},
            "no object": {"id": "evt_1"},
            "no id": {"object": "event"},
            "number as id": self.event(id=17),
            "empty id": self.event(id=""),
            "long id": self.event(id="evt_" + "x" * 5000),
            "deep": b'{"id":"evt_1","object":"event","data":'
            + b"[" * 10000
            + b"]" * 10000
            + b"}",
            "deep objects": b'{"a":' * 10000 + b"1" + b"}" * 10000,
            "nan": b'{"id":"evt_1","object":"event","x":NaN}',
            "infinity": b'{"id":"evt_1","object":"event","x":1e999}',
            "long number": b'{"id":"evt_1","object":"event","x":' + b"9" * 5000 + b"}",
        }.items():
            with self.subTest(name), self.quiet():
                self.assertEqual(self.post_body(body), 400)
                self.assertFalse(self.events)

    def test_strange_but_valid_events_are_kept(self):
        """Whoever holds the secret may write anything; nothing may break on it."""
        for number, values in enumerate(
            (
                {"type": None},
                {"type": {"a": 1}},
                {"type": ["a"]},
                {"type": "a\0b"},
                {"type": "\ud800"},
                {"type": "x" * 5000},
                {"created": "yesterday"},
                {"created": 10**30},
                {"created": -(10**15)},
                {"created": True},
                {"created": 1.5},
                {"api_version": {"a": [1]}},
                {"api_version": "\0"},
                {"livemode": None},
                {"account": {"id": 1}},
                {"data": None},
                {"data": []},
                {"data": {"object": "cus_1"}},
                {"data": {"object": {"id": {}, "object": "customer"}}},
                {"data": {"object": {"id": "cus_\0", "object": "customer"}}},
                {"data": {"object": {"id": "c" * 9000, "object": "customer"}}},
                {"data": {"object": {"id": "cus_1", "object": ["customer"]}}},
                {"data": {"object": {"object": "discount", "customer": [1]}}},
                {"related_object": {"id": 1}, "type": 7},
                {"text": "NUL \0, twice \0\0, a written \\u0000 and \ud83d alone"},
                {"text": "Ünïcødé 李 🎉", "\0key\0": "\\\\u0000"},
                {"number": 10**40, "small": 1e-300, "deep": _nested(90)},
            )
        ):
            with self.subTest(values=str(values)[:60]), self.quiet():
                event = self.event(id=f"evt_{number}", **values)
                self.assertEqual(self.post_body(event), 200)
                kept = self.events[-1:]
                self.assertEqual(kept.stripe_id, f"evt_{number}")
        written = self.events.filtered(lambda e: (e.payload or {}).get("text"))
        self.assertEqual(
            written[0].payload["text"],
            "NUL , twice , a written \\u0000 and ? alone",
        )
        self.assertEqual(written[1].payload["text"], "Ünïcødé 李 🎉")

    def test_nul_in_the_id_is_no_event(self):
        with self.quiet():
            self.assertEqual(self.post_body(self.event(id="evt_\0")), 400)
            self.assertEqual(self.post_body(self.event(id="evt_\ud800")), 400)
        self.assertFalse(self.events)

    def test_nested_too_deeply_is_no_event(self):
        """Also where it can just be read, and no more be written down."""
        statuses = set()
        for depth in range(850, 1000, 3):
            nest = b"[" * depth + b"]" * depth
            for name in (b"data", b"object", b"type"):
                body = b'{"id":"evt_%d_%b","object":"event","type":"x","%b":%b}' % (
                    depth,
                    name,
                    name,
                    nest,
                )
                with self.subTest(depth, name=name), self.quiet():
                    count = len(self.events)
                    status = self.post_body(body)
                    statuses.add(status)
                    self.assertIn(status, (200, 400))
                    self.env.invalidate_all()
                    self.assertEqual(len(self.events) - count, status == 200)
        self.assertEqual(statuses, {200, 400})

    def test_another_content_type_is_refused(self):
        """Stripe sends JSON; Odoo takes forms apart, and what is left is not what was
        signed."""
        for kind in (
            "text/plain",
            "image/png",
            "nonsense",
            "",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "multipart/form-data; boundary=x",
            "text/json; charset=application/json",
        ):
            with self.subTest(kind), self.quiet() as listener:
                status = self.post_body(self.event(), **{"Content-Type": kind})
                self.assertEqual(status, 415)
                self.assertFalse(self.events)
                text = "".join(record.getMessage() for record in listener.records)
                self.assertNotIn("cus_nobody", text)
        for number, kind in enumerate(
            ("application/json", "application/json; charset=utf-8", "Application/JSON")
        ):
            event = self.event(id=f"evt_{number}")
            self.assertEqual(self.post_body(event, **{"Content-Type": kind}), 200)
        self.assertEqual(len(self.events), 3)


def _nested(depth):
    value = []
    for _level in range(depth):
        value = [value]
    return value
