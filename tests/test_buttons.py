"""Nobody is shown a button that ends in an access error, in any view.

Each view is asked for as each role sees it. Buttons of other modules' views count where
this module added them.
"""

from lxml import etree

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .test_doors import ACCOUNTANT, MANAGER, OFFICER, DoorCase
from .test_security import MODULE

ROLES = (OFFICER, MANAGER, ACCOUNTANT, "colleague")
OPENS = ("action_view_", "action_open_")
# Buttons of core in our own views, and what pressing them takes.
OF_CORE = {"website_publish_button": "write"}


@tagged("post_install", "-at_install")
class TestButtons(DoorCase):
    def setUp(self):
        super().setUp()
        # Records cost more than the look at a button: one of each model.
        self.known = {}

    def a_record(self, model, user):
        if model not in self.known:
            self.known[model] = self.record_of(model)
        return self.known[model].with_user(user)

    def views(self):
        """Our own views and those of others that ours extend."""
        data = self.env["ir.model.data"].sudo()
        ids = data.search(
            [("module", "=", MODULE), ("model", "=", "ir.ui.view")]
        ).mapped("res_id")
        views = self.env["ir.ui.view"].sudo().browse(ids)
        views = views.filtered(lambda view: view.type != "qweb" and view.model)
        return views.filtered(lambda v: v.mode == "primary") | views.inherit_id

    def shown(self, view, user):
        """Yield ``(model, element)`` of what can be pressed in a view."""
        model = self.env[view.model].with_user(user)
        try:
            answer = model.get_view(view.id, view.type)
        except AccessError:
            return  # he cannot open it
        yield from self.pressed(etree.fromstring(answer["arch"]), view.model)

    def pressed(self, node, model):
        for child in node:
            if child.tag == "field" and len(child):
                field = self.env[model]._fields.get(child.get("name"))
                if field and field.comodel_name:
                    yield from self.pressed(child, field.comodel_name)
                    continue
            if child.get("type") in ("object", "action") and child.get("name"):
                never = child.get("invisible") in ("1", "True")
                never = never or child.get("column_invisible") in ("1", "True")
                if not never:
                    yield model, child
            yield from self.pressed(child, model)

    def test_every_button_that_is_shown_may_be_pressed(self):
        pressed = 0
        for view in self.views():
            for role in ROLES:
                user = self.users[role]
                if not self.env[view.model].with_user(user).has_access("read"):
                    continue
                for model, button in self.shown(view, user):
                    name = button.get("name")
                    with self.subTest(view=view.name, role=role, button=name):
                        if button.get("type") == "action":
                            self.assert_action(int(name), user)
                        elif getattr(getattr(self.env[model], name), "needs_access", 0):
                            self.assert_pressed(model, name, user)
                        elif name in OF_CORE:
                            pressing = self.env[model].with_user(user)
                            self.assertTrue(pressing.has_access(OF_CORE[name]))
                        else:
                            continue  # of another module
                    pressed += 1
        self.assertGreater(pressed, 200)

    def test_every_view_that_is_offered_can_be_opened(self):
        opened = 0
        for view in self.views():
            if view.type not in ("form", "list", "kanban"):
                continue
            for role in ROLES:
                user = self.users[role]
                model = self.env[view.model].with_user(user)
                if model._transient or not model.has_access("read"):
                    continue
                record = self.a_record(view.model, user)
                if not record.has_access("read"):
                    continue
                with self.subTest(view=view.name, role=role):
                    self.env.invalidate_all()
                    arch = etree.fromstring(model.get_view(view.id, view.type)["arch"])
                    self.read_as_shown(record, arch)
                    opened += 1
        self.assertGreater(opened, 150)

    def read_as_shown(self, records, arch):
        """Read what a view shows of records, as the client does."""
        names, inner = set(), []
        for node in arch.iterchildren():
            self.collect(node, records, names, inner)
        names &= set(records._fields)
        if names:  # none would mean all of them
            records.read(list(names))
        for name, node in inner:
            shown = records[name]
            if shown.has_access("read"):
                for view in node:
                    self.read_as_shown(shown, view)

    def collect(self, node, records, names, inner):
        if node.tag == "field" and node.get("name") in records._fields:
            name = node.get("name")
            names.add(name)
            if len(node) and records._fields[name].comodel_name:
                inner.append((name, node))
                return
        for child in node.iterchildren():
            self.collect(child, records, names, inner)

    def assert_pressed(self, model, name, user):
        record = self.a_record(model, user)
        if record._transient:
            record = record.browse()  # each user has his own
        method = getattr(type(record), name)
        either = method.or_group and user.has_group(method.or_group)
        self.assertTrue(
            either or record.has_access(method.needs_access),
            f"{method.needs_access} on {model}",
        )
        self.assertTrue(not method.needs_group or user.has_group(method.needs_group))
        if name.startswith(OPENS):
            try:
                self.assert_opens(getattr(record, name)(), user)
            except UserError as refused:
                # There is nothing to open; that is not about access.
                self.assertNotIsInstance(refused, AccessError)

    def assert_action(self, action_id, user):
        action = self.env["ir.actions.actions"].sudo().browse(action_id)
        action = self.env[action.type].sudo().browse(action_id)
        if "group_ids" in action._fields and action.group_ids:
            self.assertTrue(action.group_ids & user.all_group_ids, action.name)
        if action.type == "ir.actions.act_window":
            self.assert_opens(action._get_action_dict(), user)

    def assert_opens(self, action, user):
        if action and action.get("res_model"):
            model = self.env[action["res_model"]].with_user(user)
            new = model._transient or action.get("target") == "new"
            self.assertTrue(model.has_access("create" if new else "read"), model._name)

    def test_every_menu_and_bound_action_leads_somewhere(self):
        data = self.env["ir.model.data"].sudo()
        for role in (OFFICER, MANAGER, ACCOUNTANT):
            user = self.users[role]
            visible = self.env["ir.ui.menu"].with_user(user)._visible_menu_ids()
            ours = data.search([("module", "=", MODULE), ("model", "=", "ir.ui.menu")])
            for menu in self.env["ir.ui.menu"].browse(ours.mapped("res_id")):
                if menu.id in visible and menu.action:
                    with self.subTest(role=role, menu=menu.complete_name):
                        self.assert_action(menu.action.id, user)
            for action in self.bound_actions(user):
                with self.subTest(role=role, bound=action["name"]):
                    self.assert_bound(action, user)

    def bound_actions(self, user):
        ours = self.env["ir.model"].sudo().search([("model", "=like", "affiliate.%")])
        actions = self.env["ir.actions.actions"].with_user(user)
        for model in ours.mapped("model"):
            if self.env[model].with_user(user).has_access("read"):
                for action in actions.get_bindings(model).get("action", ()):
                    yield action | {"on": model}

    def assert_bound(self, action, user):
        found = self.env["ir.actions.actions"].sudo().browse(action["id"])
        found = self.env[found.type].sudo().browse(action["id"])
        if found._name == "ir.actions.act_window":
            self.assert_opens(found._get_action_dict(), user)
        elif found._name == "ir.actions.server" and "record.action_" in found.code:
            name = found.code.split("record.", 1)[-1].split("(")[0]
            name = (
                name
                if "records." not in found.code
                else (found.code.split("records.", 1)[1].split("(")[0])
            )
            self.assert_pressed(action["on"], name, user)
