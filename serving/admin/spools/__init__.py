"""Spools of events and the log of predictions of this host: state, rejected events, requeue."""
