"""Pages, sheets and pictures for people who look at figures, and the figures behind them, computed purely."""
