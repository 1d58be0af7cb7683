"""Pure Python: money, the Stripe client, commission maths. Imports nothing of Odoo."""
