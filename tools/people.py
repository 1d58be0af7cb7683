"""Whom to tell, and how."""

WARNING = "mail.mail_activity_data_warning"
SHOWN = 5  # problems in a message


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
    keep_warnings(record, summary, {record: note}, lambda _record: whom(), solved)


def keep_warnings(records, summary, failed, whom, solved):
    """Have an activity on each record that failed, and none on the others.

    :param records: all that were tried, of a model with activities, as superuser
    :param str summary: by which the activities are found again
    :param dict failed: ``{record: why}``
    :param whom: ``f(record) -> res.users``, asked where nobody was told yet
    :param str solved: what is said when it is over
    """
    env = records.env
    kind = env["ir.model.data"]._xmlid_to_res_id(WARNING)
    notes = {record.id: why for record, why in failed.items() if why}
    known = env["mail.activity"].search(
        [
            ("res_model", "=", records._name),
            ("res_id", "in", records.ids),
            ("activity_type_id", "=", kind),
            ("automated", "=", True),
            ("summary", "=", summary),
        ]
    )
    lasting = known.filtered(lambda activity: activity.res_id in notes)
    (known - lasting).action_feedback(feedback=solved)
    for activity in lasting:
        activity.note = notes[activity.res_id]
    env["mail.activity"].create(
        [
            {
                "activity_type_id": kind,
                "automated": True,
                "summary": summary,
                "note": notes[record.id],
                "res_model_id": env["ir.model"]._get_id(records._name),
                "res_id": record.id,
                "user_id": whom(record).id,
            }
            for record in records.browse(notes.keys() - set(known.mapped("res_id")))
        ]
    )


def say_problems(env, title, problems, action=None):
    """Return a message that stays until somebody closes it.

    :param list problems: sentences; all of them are elsewhere, too
    :param dict action: what to open then
    """
    shown = "; ".join(problems[:SHOWN])
    if len(problems) > SHOWN:
        shown = env._(
            "%(problems)s; and %(count)s more",
            problems=shown,
            count=len(problems) - SHOWN,
        )
    return {
        "type": "ir.actions.client",
        "tag": "display_notification",
        "params": {
            "title": title,
            "message": shown,
            "type": "danger",
            "sticky": True,
            "next": action or {"type": "ir.actions.client", "tag": "soft_reload"},
        },
    }
