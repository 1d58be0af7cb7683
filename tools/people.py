"""Whom to tell, and how."""

WARNING = "mail.mail_activity_data_warning"


def first_member(group, company):
    """Return an active user of a group who works in a company, else any of its users.

    Whoever is in the group by himself comes before those who are by another group.

    :param group: ``res.groups``, as superuser
    :return: ``res.users``; the present user where the group has nobody
    """
    members = (group.user_ids + group.all_user_ids).filtered("active")
    own = members.filtered(lambda user: company in user.company_ids)
    return (own or members or group.env.user)[0]


def keep_warning(record, summary, note, whom, solved):
    """Have one activity on a record while there is something to say, and none after.

    :param record: a record with activities, as superuser
    :param str summary: by which the activity is found again
    :param Markup note: what to say; empty where all is well
    :param whom: ``f() -> res.users``, asked where nobody was told yet
    :param str solved: what is said when it is over
    """
    activity = record.activity_search(
        [WARNING], additional_domain=[("summary", "=", summary)]
    )
    if not note:
        activity.action_feedback(feedback=solved)
    elif activity:
        activity.note = note
    else:
        record.activity_schedule(WARNING, summary=summary, note=note, user_id=whom().id)
