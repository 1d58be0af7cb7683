from . import affiliate_link_wizard
from . import affiliate_move_wizard
from . import affiliate_person_wizard
from . import affiliate_plan_wizard
from . import affiliate_reject_wizard
from . import affiliate_rule_wizard
from . import affiliate_settlement_wizard
