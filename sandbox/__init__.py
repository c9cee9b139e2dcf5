"""Stand-ins for outside services, as their own process. Imports nothing of the portal."""
