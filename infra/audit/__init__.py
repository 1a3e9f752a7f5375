"""`okr installation audit`: checks of a running installation, one module per subject."""
