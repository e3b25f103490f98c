"""The one place that names adapters: settings in, a :class:`Runtime` out.

Adapters are imported where they are made, so a run loads only what it uses.
"""

from trading_core.policies import budget_of as budget_of
from trading_core.policies import policy_of as policy_of
from trading_core.wiring.broker import PAPER_URL as PAPER_URL
from trading_core.wiring.broker import REAL_URL as REAL_URL
from trading_core.wiring.broker import TWIN_ACCOUNT as TWIN_ACCOUNT
from trading_core.wiring.broker import TWIN_LINK as TWIN_LINK
from trading_core.wiring.reading import configure as configure
from trading_core.wiring.reading import home_folder as home_folder
from trading_core.wiring.reading import open_store as open_store
from trading_core.wiring.reading import read_costs as read_costs
from trading_core.wiring.reading import read_status as read_status
from trading_core.wiring.runtime import Runtime as Runtime
from trading_core.wiring.runtime import no_stream as no_stream
from trading_core.wiring.runtime import open_runtime as open_runtime
from trading_core.wiring.runtime import shared as shared
from trading_core.wiring.runtime import warm_calendars as warm_calendars
from trading_core.wiring.safekeeping import count_rows as count_rows
