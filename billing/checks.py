"""Start-up checks: what must be true before this app may touch money."""
