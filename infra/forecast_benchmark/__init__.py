"""Compare forecasts with simple rivals on folders of past key results, without a running stack."""
