"""The chat of a person with the system, over the Bot API of Telegram."""
