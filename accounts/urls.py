"""The settings pages, under /settings/."""

from django.urls import path

from accounts.views import (
    api_keys,
    appearance,
    data,
    details,
    invitations,
    profile,
    security,
    team,
)

app_name = "accounts"

urlpatterns = [
    path("", profile.profile, name="profile"),
    path("language", appearance.language, name="language"),
    path("theme", appearance.theme, name="theme"),
    path("switch", profile.switch, name="switch"),
    path("security", security.security, name="security"),
    path("billing-details", details.billing_details, name="billing_details"),
    path("notifications", details.notifications, name="notifications"),
    path("team", team.team, name="team"),
    path("team/new", team.new, name="team_new"),
    path("team/leave", team.leave, name="team_leave"),
    path("team/members/<int:membership_id>/role", team.role, name="team_role"),
    path("team/members/<int:membership_id>/remove", team.remove, name="team_remove"),
    path("team/invite", invitations.invite, name="team_invite"),
    path(
        "team/invitations/<uuid:invitation_id>/send-again",
        invitations.send_again,
        name="invitation_send_again",
    ),
    path(
        "team/invitations/<uuid:invitation_id>/revoke",
        invitations.revoke,
        name="invitation_revoke",
    ),
    path("invitations/<str:token>", invitations.accept, name="invitation"),
    path("api-keys", api_keys.index, name="api_keys"),
    path("api-keys/new", api_keys.create, name="api_key_create"),
    path("api-keys/<uuid:key_id>/revoke", api_keys.revoke, name="api_key_revoke"),
    path("export", data.export, name="export"),
    path("close", data.close, name="close"),
    path("closed", data.closed, name="closed"),
]
