"""The lists of the data API: one definition per list, and one convention for pages, filters, fields and order."""
