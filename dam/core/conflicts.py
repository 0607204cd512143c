"""Transactions that the database ends because another is in their way, and that may begin again."""

import asyncio
import logging

from sqlalchemy.exc import DBAPIError

from dam.core.exceptions import described

CONFLICTS_IN_A_ROW = 5
PAUSE_SECONDS = 0.05
# https://www.postgresql.org/docs/current/errcodes-appendix.html
DEADLOCK_DETECTED = "40P01"
SERIALIZATION_FAILURE = "40001"

logger = logging.getLogger(__name__)


class Patience:
    """How often work may still begin again after a conflict, until something gets through."""

    def __init__(self) -> None:
        self._left = CONFLICTS_IN_A_ROW

    async def forgives(self, error: BaseException) -> bool:
        """Say whether the error is a conflict, and not one too many; then the other has had a moment to go on.

        Begun at once, the transaction can take the same lock again before the other, which waits for it, wakes up.
        """
        if not is_conflict(error) or self._left == 0:
            return False
        self._left -= 1
        logger.info("another transaction was in the way: %s", described(error))
        await asyncio.sleep(PAUSE_SECONDS)
        return True

    def renew(self) -> None:
        """Forget earlier conflicts, because a transaction got through."""
        self._left = CONFLICTS_IN_A_ROW


def is_conflict(error: BaseException) -> bool:
    """Say whether the database ended this transaction so that another could go on; all of it was rolled back."""
    if not isinstance(error, DBAPIError):
        return False
    return getattr(error.orig, "sqlstate", None) in (DEADLOCK_DETECTED, SERIALIZATION_FAILURE)
