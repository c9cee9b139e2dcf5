"""The sentences people read, in every language: found in the code, kept in locale/, compiled.

``python -m billing_project.messages extract | compile | check`` needs no system gettext; Babel does
its work. The English sentence in the code is the key; locale/<language>/LC_MESSAGES/django.po has
its translation.
"""
