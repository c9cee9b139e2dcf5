"""Running the portal: whether it is well, who is told when not, how it is saved and restored."""
