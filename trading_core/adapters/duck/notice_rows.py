"""The tables of the outbox: what became of each message, and how loud each kind is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from trading_core.adapters.duck.codecs import BOOLEAN, INTEGER, TEXT, TIME, Codec, enum_of
from trading_core.adapters.duck.queries import Queries
from trading_core.adapters.duck.tables import Table, table
from trading_core.model.journal import Notification
from trading_core.model.notice import LevelRow, NotifyLevel, Outcome, SendRow

NAMES = Codec(
    ",".join,
    lambda stored: tuple(stored.split(",")) if stored else (),
    TEXT.parameter,
)
"""Names of channels, which hold no comma."""

NOTIFICATIONS = table(
    "notifications",
    Notification,
    {
        "notification_id": TEXT,
        "sent_at": (TIME, "at"),
        "kind": TEXT,
        "level": TEXT,
        "text": TEXT,
        "delivered": BOOLEAN,
        "channels": NAMES,
        "picture": TEXT,
    },
    "notification_id",
)

NOTIFICATION_SENDS = table(
    "notification_sends",
    SendRow,
    {
        "notification_id": TEXT,
        "channel": TEXT,
        "outcome": enum_of(Outcome),
        "attempts": INTEGER,
        "ended_at": (TIME, "at"),
        "detail": TEXT,
    },
    "notification_id channel",
)

NOTIFICATION_LEVELS = table(
    "notification_levels",
    LevelRow,
    {"kind": TEXT, "level": enum_of(NotifyLevel), "set_at": (TIME, "at"), "set_by": (TEXT, "by")},
    "kind set_at",
)

NOTICE_RECORD_TABLES: tuple[Table[Any], ...] = (
    NOTIFICATIONS,
    NOTIFICATION_SENDS,
    NOTIFICATION_LEVELS,
)

NOTICE_TABLES: tuple[str, ...] = (
    "ALTER TABLE notifications ADD COLUMN channels TEXT DEFAULT ''",
    "ALTER TABLE notifications ADD COLUMN picture TEXT DEFAULT ''",
    """
    CREATE TABLE notification_sends (
        notification_id TEXT NOT NULL,
        channel TEXT NOT NULL,
        outcome TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        ended_at TIMESTAMPTZ NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (notification_id, channel)
    )""",
    """
    CREATE TABLE notification_levels (
        kind TEXT NOT NULL,
        level TEXT NOT NULL,
        set_at TIMESTAMPTZ NOT NULL,
        set_by TEXT NOT NULL,
        PRIMARY KEY (kind, set_at)
    )""",
)
"""Frozen, as all schema statements are: a change is a new migration."""


class NoticeQueries(Queries):
    """The queries about messages to people of the ``StoreReader`` port."""

    def notified(self, notification_ids: Collection[str]) -> set[str]:
        found = self._rows(
            "SELECT notification_id FROM notifications WHERE notification_id IN"
            " (SELECT unnest(?::VARCHAR[]))",
            [list(notification_ids)],
        )
        return {str(name) for (name,) in found}

    def _notices(self, sql: str, parameters: Any) -> list[Notification]:
        selected = f"SELECT {NOTIFICATIONS.select('t')} FROM notifications t {sql}"
        found = self._rows(selected, parameters)
        return [NOTIFICATIONS.decode(row) for row in found]

    def unsent(self, channel: str) -> Sequence[Notification]:
        return self._notices(
            "WHERE t.channels != '' AND list_contains(string_split(t.channels, ','), $channel)"
            " AND NOT EXISTS (SELECT 1 FROM notification_sends s"
            "  WHERE s.notification_id = t.notification_id AND s.channel = $channel)"
            " ORDER BY t.sent_at, t.notification_id",
            {"channel": channel},
        )

    def notifications(self, limit: int = 100) -> Sequence[Notification]:
        return self._notices("ORDER BY t.sent_at DESC, t.notification_id LIMIT ?", [limit])

    def sends(self, notification_ids: Collection[str]) -> Sequence[SendRow]:
        sql = (
            f"SELECT {NOTIFICATION_SENDS.select('t')} FROM notification_sends t"
            " WHERE notification_id IN (SELECT unnest(?::VARCHAR[]))"
            " ORDER BY notification_id, channel"
        )
        found = self._rows(sql, [list(notification_ids)])
        return [NOTIFICATION_SENDS.decode(row) for row in found]

    def notification_levels(self) -> dict[str, NotifyLevel]:
        found = self._rows(
            "SELECT kind, arg_max(level, set_at) FROM notification_levels GROUP BY kind"
        )
        return {str(kind): NotifyLevel(level) for kind, level in found}
