"""Whom to tell."""


def first_member(group, company):
    """Return an active user of a group who works in a company, else any of its users.

    Whoever is in the group by himself comes before those who are by another group.

    :param group: ``res.groups``, as superuser
    :return: ``res.users``; the present user where the group has nobody
    """
    members = (group.user_ids + group.all_user_ids).filtered("active")
    own = members.filtered(lambda user: company in user.company_ids)
    return (own or members or group.env.user)[0]
