"""python-kis against the twin: its hosts are constants of two modules."""

from __future__ import annotations

import pykis.client.websocket
import pykis.kis
from checklist import APP_KEY, APP_SECRET, HTS_ID
from pykis import KisAuth, PyKis
from python_kis_day import play, setting

pykis.kis.REAL_DOMAIN = setting.urls["real"]
pykis.client.websocket.WEBSOCKET_REAL_DOMAIN = setting.urls["real"].replace("http", "ws")
pykis.kis.VIRTUAL_DOMAIN = setting.urls["paper"]
pykis.client.websocket.WEBSOCKET_VIRTUAL_DOMAIN = setting.urls["paper"].replace("http", "ws")


def auth_of(*, virtual):
    key = APP_KEY[:-1] + ("v" if virtual else "r")
    return KisAuth(HTS_ID, key, APP_SECRET, setting.account, virtual)


play(PyKis(auth_of(virtual=False), *([auth_of(virtual=True)] if setting.paper else [])))
