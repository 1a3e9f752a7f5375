"""The admin API under /admin: for operators, and for administrators of an organisation to manage its accounts."""
