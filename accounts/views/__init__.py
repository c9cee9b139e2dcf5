"""The pages of the account itself; signing in and out are django-allauth's."""
