"""Our mails have a layout of their own, unless somebody has chosen another one."""


def migrate(cr, _version):
    cr.execute(
        """UPDATE mail_template
              SET email_layout_xmlid = 'affiliate_stripe.mail_layout'
            WHERE email_layout_xmlid = 'mail.mail_notification_light'
              AND id IN (SELECT res_id FROM ir_model_data
                          WHERE module = 'affiliate_stripe'
                            AND model = 'mail.template')"""
    )
