"""The dashboard: its files, and the routes that serve them. What the pages show they ask of the API."""
