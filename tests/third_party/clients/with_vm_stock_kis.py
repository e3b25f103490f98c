"""vm-stock-kis against the twin: it takes the addresses of both hosts when it is made."""

from __future__ import annotations

from checklist import APP_KEY, APP_SECRET, HTS_ID
from python_kis_day import play, setting
from vmkis import KisAuth, VmKis
from vmkis.config import Endpoint


def auth_of(*, paper):
    key = APP_KEY[:-1] + ("v" if paper else "r")
    return KisAuth(HTS_ID, key, APP_SECRET, setting.account, paper)


play(
    VmKis(
        auth_of(paper=False),
        *([auth_of(paper=True)] if setting.paper else []),
        endpoints={
            host: Endpoint(setting.urls[name], setting.urls[name].replace("http", "ws"))
            for host, name in (("live", "real"), ("paper", "paper"))
        },
    )
)
