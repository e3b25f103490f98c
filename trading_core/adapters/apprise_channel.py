"""Any service Apprise knows: mail, Slack, Discord, ntfy, a web hook of one's own."""

from __future__ import annotations

import hashlib
import logging
import re
from typing import Any

from trading_core.model.difference import Severity
from trading_core.model.notice import Answer, Message, Taken, TryLater

SETTINGS_WRONG_SECONDS = 600.0

_CLIENT_LOGGERS = ("apprise", "urllib3.connectionpool")

_NOT_OF_A_NAME = re.compile(r"[^a-z0-9+.-]")


def channel_name(url: str) -> str:
    """``ntfy-1f3a9c``: what kind of service and a mark of the address, which holds secrets."""
    schema = _NOT_OF_A_NAME.sub("", url.partition("://")[0].lower())
    return f"{schema}-{hashlib.sha256(url.encode()).hexdigest()[:6]}"


class AppriseChannel:
    """The ``Channel`` port over one Apprise address.

    Apprise says only whether it worked, so whatever did not is tried again. None of its services
    is asked for silence: most know none.
    """

    has_silence = False

    def __init__(self, url: str) -> None:
        self.name = channel_name(url)
        self._url = url
        self._service: Any = None

    async def deliver(self, message: Message) -> Answer:
        """One attempt."""
        try:
            service = self._opened()
            if service is None:
                words = "Apprise cannot read this address: check NOTIFY_URLS"
                return TryLater(words, after_seconds=SETTINGS_WRONG_SECONDS)
            taken = await service.async_notify(
                title=message.title,
                body=message.body,
                notify_type=_type_of(message.severity),
                body_format="text",
                attach=_attachment(message.picture),
            )
        except Exception as error:
            return TryLater(f"not delivered ({type(error).__name__})")
        return Taken() if taken else TryLater("not delivered")

    async def aclose(self) -> None:
        """Nothing is kept open."""

    def _opened(self) -> Any:
        """Imported here because most people need none of it."""
        if self._service is None:
            import apprise

            # They log addresses, with the secrets in them, at every level below.
            for name in _CLIENT_LOGGERS:
                logging.getLogger(name).setLevel(logging.WARNING)
            service = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Ouroboros"))
            if not service.add(self._url):
                return None
            self._service = service
        return self._service


def _type_of(severity: Severity) -> Any:
    import apprise

    return {
        Severity.CRITICAL: apprise.NotifyType.FAILURE,
        Severity.WARNING: apprise.NotifyType.WARNING,
        Severity.INFO: apprise.NotifyType.INFO,
    }[severity]


def _attachment(picture: bytes | None) -> Any:
    if picture is None:
        return None
    from apprise.attachment import memory

    made: Any = memory.AttachMemory
    return made(content=picture, name="equity.png", mimetype="image/png")
