"""Which paths are offered, under which TR ids, on which host, and what answers them."""

from __future__ import annotations

from collections.abc import Mapping

from trading_core.twin.wire.domestic_endpoints import DOMESTIC_ENDPOINTS, DOMESTIC_UNOFFERED
from trading_core.twin.wire.endpoint import Endpoint
from trading_core.twin.wire.overseas_endpoints import OVERSEAS_ENDPOINTS, OVERSEAS_UNOFFERED

ENDPOINTS: Mapping[str, Endpoint] = {**DOMESTIC_ENDPOINTS, **OVERSEAS_ENDPOINTS}
UNOFFERED: frozenset[str] = DOMESTIC_UNOFFERED | OVERSEAS_UNOFFERED
