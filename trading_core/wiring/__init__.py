"""The one place that names adapters: settings in, a :class:`Runtime` out.

Adapters are imported where they are made, so a run loads only what it uses.
"""

from trading_core.policies import budget_of as budget_of
from trading_core.policies import policy_of as policy_of
from trading_core.policies import schedule_policy_of as schedule_policy_of
from trading_core.settings import hand_in_secrets as hand_in_secrets
from trading_core.wiring.alerts import channel_names as channel_names
from trading_core.wiring.alerts import notifier_of as notifier_of
from trading_core.wiring.alerts import sending as sending
from trading_core.wiring.alerts import tell_people as tell_people
from trading_core.wiring.broker import PAPER_URL as PAPER_URL
from trading_core.wiring.broker import REAL_URL as REAL_URL
from trading_core.wiring.broker import TWIN_ACCOUNT as TWIN_ACCOUNT
from trading_core.wiring.broker import TWIN_LINK as TWIN_LINK
from trading_core.wiring.claim import account_claim as account_claim
from trading_core.wiring.confirmation import CONFIRMATION as CONFIRMATION
from trading_core.wiring.confirmation import confirm_live as confirm_live
from trading_core.wiring.confirmation import live_limits as live_limits
from trading_core.wiring.confirmation import require_confirmation as require_confirmation
from trading_core.wiring.examination import clock_seconds_behind as clock_seconds_behind
from trading_core.wiring.examination import look_at_store as look_at_store
from trading_core.wiring.reading import configure as configure
from trading_core.wiring.reading import home_folder as home_folder
from trading_core.wiring.reading import open_store as open_store
from trading_core.wiring.reading import read_costs as read_costs
from trading_core.wiring.reading import read_status as read_status
from trading_core.wiring.reading import secret_settings as secret_settings
from trading_core.wiring.reading import secrets_of as secrets_of
from trading_core.wiring.runtime import Runtime as Runtime
from trading_core.wiring.runtime import no_stream as no_stream
from trading_core.wiring.runtime import open_runtime as open_runtime
from trading_core.wiring.runtime import shared as shared
from trading_core.wiring.runtime import warm_calendars as warm_calendars
from trading_core.wiring.safekeeping import RestorePlace as RestorePlace
from trading_core.wiring.safekeeping import Safekeeping as Safekeeping
from trading_core.wiring.safekeeping import archive_in as archive_in
from trading_core.wiring.safekeeping import count_rows as count_rows
from trading_core.wiring.safekeeping import open_restore_place as open_restore_place
from trading_core.wiring.safekeeping import open_safekeeping as open_safekeeping
from trading_core.wiring.safekeeping import read_backups as read_backups
from trading_core.wiring.safekeeping import vault_at as vault_at
from trading_core.wiring.safekeeping import watched_by as watched_by
from trading_core.wiring.watching import Oversight as Oversight
from trading_core.wiring.watching import open_oversight as open_oversight
