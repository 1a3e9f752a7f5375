"""The data API: reads of the published marts."""
