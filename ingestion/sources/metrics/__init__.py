"""`okr produce metrics`: what this host and our applications measure of themselves. `collector` is where it begins."""
