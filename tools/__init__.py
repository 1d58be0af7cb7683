"""What knows Odoo and no business."""
