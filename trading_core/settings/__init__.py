"""Every setting, read once from the environment and ``.env``; only the wiring imports this."""

from trading_core.settings.loading import Settings as Settings
from trading_core.settings.loading import load_settings as load_settings
from trading_core.settings.secrets import hand_in_secrets as hand_in_secrets
from trading_core.settings.secrets import secret_names as secret_names
