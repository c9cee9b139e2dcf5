"""The lowest layer: clock, ids, doorbell, errors, the shape of the API. Imports nothing of ours."""
