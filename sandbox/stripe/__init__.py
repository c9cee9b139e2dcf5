"""A stand-in for Stripe: API, hosted checkout page, signed webhooks, faults, its own books."""

API_VERSION = "2026-08-26.dahlia"
ACCOUNT_ID = "acct_1SandboxPortal01"
