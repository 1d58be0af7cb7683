"""One guard for the fields that nobody writes by hand, whatever interface he uses."""

from odoo import api, models
from odoo.exceptions import AccessError, UserError

ADDON = __name__.split(".")[2]


class ProtectedFields(models.AbstractModel):
    """Refuses fields of this addon that only its own code writes.

    What Odoo calls ``readonly`` holds for forms only. Here it holds for every way to
    create and write, for all but the superuser: a field declared ``readonly=True``, or
    computed without an inverse, is written as sudo by methods that have checked access
    first (``tools.access.needs``). Fields of other addons are left as they are.

    Fields may have two more attributes:

    ``write_group``
        Members of this group only may write the field, also when a record is made.
    ``set_once``
        Given when the record is made, and changed by nobody after that, not even by the
        superuser.

    Context (``default_…``) and people's own defaults are no way around: for protected
    fields they are ignored, as are the values of a record that is duplicated.
    """

    _name = "affiliate.protected"
    _description = "Fields that nobody writes by hand"

    def _valid_field_parameter(self, field, name):
        return name in ("write_group", "set_once") or super()._valid_field_parameter(
            field, name
        )

    # === WHAT IS PROTECTED === #

    @api.model
    def _is_protected(self, field):
        """Tell whether the present user must not write a field."""
        if self.env.su or ADDON not in field._modules:
            return False
        if field.readonly:
            return True
        group = getattr(field, "write_group", None)
        return bool(group) and not self.env.user.has_group(group)

    @api.model
    def _protected_names(self):
        return {
            name for name, field in self._fields.items() if self._is_protected(field)
        }

    @api.model
    def _has_field_access(self, field, operation):
        """Odoo asks this before it writes, and to show fields as readonly in forms."""
        if operation == "write" and self._is_protected(field):
            return False
        return super()._has_field_access(field, operation)

    @api.model
    def _check_field_access(self, field, operation):
        if operation == "write" and self._is_protected(field):
            label = field.get_description(self.env, ["string"])["string"]
            if not field.readonly:
                group = self.env.ref(field.write_group).sudo().full_name
                raise AccessError(
                    self.env._(
                        "Only members of “%(group)s” can change “%(field)s”.",
                        group=group,
                        field=label,
                    )
                )
            raise AccessError(
                self.env._(
                    "“%(field)s” of “%(model)s” is set automatically. Use the buttons "
                    "of the form to change it.",
                    field=label,
                    model=self.env["ir.model"]._get(self._name).name,
                )
            )
        return super()._check_field_access(field, operation)

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        return super(ProtectedFields, self._without_defaults()).create(vals_list)

    @api.model
    def _without_defaults(self):
        """Return the model without what the context says about protected fields."""
        if self.env.su:
            return self
        said = {f"default_{name}" for name in self._protected_names()}
        if said.isdisjoint(self.env.context):
            return self
        context = {k: v for k, v in self.env.context.items() if k not in said}
        return self.with_env(self.env(context=context))

    @api.model
    def default_get(self, fields):
        protected = self._protected_names() & set(fields)
        free = [name for name in fields if name not in protected]
        defaults = super().default_get(free)
        for name in protected:
            # Only what the field itself says.
            if default := self._fields[name].default:
                defaults[name] = default(self)
        return defaults

    def write(self, vals):
        self._check_set_once(vals)
        return super().write(vals)

    def _check_set_once(self, vals):
        for name in vals:
            field = self._fields.get(name)
            # A related field has the attributes of the other one, and follows it.
            if not getattr(field, "set_once", False) or field.related:
                continue
            for record in self:
                known = field.convert_to_cache(record[name], record)
                if known and known != field.convert_to_cache(vals[name], record):
                    raise UserError(
                        self.env._(
                            "“%(field)s” of %(record)s cannot be changed. Make a new "
                            "one instead.",
                            field=field.get_description(self.env, ["string"])["string"],
                            record=record.display_name,
                        )
                    )

    def copy_data(self, default=None):
        """Leave out what the present user could not write."""
        protected = self._protected_names() - set(default or ())
        return [
            vals and {k: v for k, v in vals.items() if k not in protected}
            for vals in super().copy_data(default)
        ]
