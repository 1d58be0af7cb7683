"""What the commands in bin/ share: standard library only, it runs before anything
else is installed.

    from support import program, provision

    ground = provision()                      # all that is needed, made ready
    ground.fresh_database("demo")             # a database with the addon installed
    subprocess.run(ground.odoo_command("demo"), env=ground.environ())
"""

from .provision import Ground, provision
from .say import fail, program, say

__all__ = ["Ground", "fail", "program", "provision", "say"]
