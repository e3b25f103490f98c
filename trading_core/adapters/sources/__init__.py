"""News, market readings and economic calendars from public HTTP services and files."""
