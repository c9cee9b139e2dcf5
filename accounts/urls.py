"""The settings pages, under /settings/."""

from django.urls import path

from accounts.views import api_keys, appearance, profile

app_name = "accounts"

urlpatterns = [
    path("", profile.profile, name="profile"),
    path("language", appearance.language, name="language"),
    path("theme", appearance.theme, name="theme"),
    path("api-keys", api_keys.index, name="api_keys"),
    path("api-keys/new", api_keys.create, name="api_key_create"),
    path("api-keys/<uuid:key_id>/revoke", api_keys.revoke, name="api_key_revoke"),
]
