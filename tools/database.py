"""Parts of a transaction."""

import logging
from contextlib import contextmanager

from odoo.exceptions import RedirectWarning, UserError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

_logger = logging.getLogger(__name__)


class Problem:
    """What went wrong in a block of ``isolated``: falsy and empty where nothing did."""

    def __init__(self):
        self.error = None

    def __bool__(self):
        return self.error is not None

    def __str__(self):
        if isinstance(self.error, RedirectWarning):
            return str(self.error.args[0])
        if self.error is None or isinstance(self.error, UserError):
            return str(self.error or "")
        return f"{type(self.error).__name__}: {self.error}"


@contextmanager
def isolated(env):
    """Run a block so that its failure undoes only itself.

    What is not a message for people goes to the log, too. Where the database asks for
    another try of the whole transaction, Odoo gets to know of it as ever.

    :return: yields a ``Problem``, to be looked at after the block
    """
    problem = Problem()
    try:
        with env.cr.savepoint():
            yield problem
    except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
        raise
    except (UserError, RedirectWarning) as error:
        problem.error = error
    except Exception as error:
        _logger.exception("One part of the work failed; the rest goes on")
        problem.error = error
