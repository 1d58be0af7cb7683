"""Access before anything else: how every method that RPC can call begins."""

from functools import wraps

from odoo.exceptions import AccessError


def needs(operation, group=None, or_group=None, sudo=False):
    """Decorate a public method: access is checked before its body.

    Odoo checks access only where a record is read or written. What a method does before
    that, or outside the database, has happened by then: a call to Stripe cannot be
    rolled back.

    :param str operation: ``read``, ``write``, ``create`` or ``unlink``; on the model
        and on each of the records
    :param str group: members of this group only, beside that
    :param str or_group: members of this group without the operation, too; the method
        itself limits what they get
    :param bool sudo: the body runs as superuser, which may write what nobody writes by
        hand (see ``protected.py``). For bodies that work on ``self`` and what belongs
        to it, not on records that the caller named in other ways
    :raise AccessError: by the decorated method, before it did anything
    """

    def decorate(method):
        @wraps(method)
        def checked(self, *args, **kwargs):
            if not (or_group and self.env.user.has_group(or_group)):
                self.check_access(operation)
            if group and not (self.env.su or self.env.user.has_group(group)):
                name = self.env.ref(group).sudo().full_name
                raise AccessError(
                    self.env._("You need to be a member of “%s” to do this.", name)
                )
            return method(self.sudo() if sudo else self, *args, **kwargs)

        checked.needs_access = operation
        checked.needs_group, checked.or_group = group, or_group
        return checked

    return decorate
