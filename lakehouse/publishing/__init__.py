"""Deliver publications to readers: stable views, the versions behind them, and the cleanup of old versions."""
