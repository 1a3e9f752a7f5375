"""Compare forecasts with simple reference forecasts on folders of past key results, without a running stack."""
