"""Alerts: the receiver of Alertmanager's notifications, and the state of alerts for operators."""
