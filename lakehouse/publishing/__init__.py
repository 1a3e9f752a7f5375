"""How a publication reaches its readers: views that stay, versions behind them, and what becomes of old ones."""
