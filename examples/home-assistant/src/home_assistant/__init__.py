"""What is special about a Home Assistant's configuration directory. Where a fact comes from stands beside it; `core` is Home Assistant's own source."""
