"""What the steps need from the outside, as Protocols; adapters fill them, tests fake them.

Ports that cross the network are async. Values only: no vendor word appears here.
"""

from trading_core.ports.broker import Broker as Broker
from trading_core.ports.broker import MarketData as MarketData
from trading_core.ports.broker import MarketStream as MarketStream
from trading_core.ports.broker import OrderLock as OrderLock
from trading_core.ports.broker import StreamEvent as StreamEvent
from trading_core.ports.broker import StreamGap as StreamGap
from trading_core.ports.notices import Channel as Channel
from trading_core.ports.notices import Notifier as Notifier
from trading_core.ports.notices import SenderLock as SenderLock
from trading_core.ports.planning import History as History
from trading_core.ports.planning import LanguageModel as LanguageModel
from trading_core.ports.planning import Planner as Planner
from trading_core.ports.store import Archive as Archive
from trading_core.ports.store import Record as Record
from trading_core.ports.store import Store as Store
from trading_core.ports.store import StoreReader as StoreReader
from trading_core.ports.store import StoreWriter as StoreWriter
