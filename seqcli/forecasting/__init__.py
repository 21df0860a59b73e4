"""The room of dated series: rates, training, forecasts, backtests."""
