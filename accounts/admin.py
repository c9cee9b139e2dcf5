"""People and parties in the admin; what they own is shown by the apps that know it."""

from collections.abc import Sequence
from typing import Any, cast

from allauth.account.decorators import secure_admin_login
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.models import ApiKey, Customer, Membership, User
from accounts.services import api_keys, closing

# Staff log in where everybody does: one place for rate limits and confirmed addresses.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = "Billing portal"
admin.site.unregister(Group)
# Secrets and session keys are for nobody to look at; what staff may do is an action on the user.
admin.site.unregister(Authenticator)
admin.site.unregister(UserSession)


class KnownChoice(AutocompleteSelect):
    """Shows what is chosen as it was loaded with its row, without a query for each."""

    known: Model | None = None

    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        """The chosen one alone; nothing where something was sent that cannot be one."""
        if self.known is not None and list(value) == [str(self.known.pk)]:
            label = str(self.known)
            return [
                (None, [self.create_option(name, self.known.pk, label, selected=True, index=0)], 0)
            ]
        try:
            return super().optgroups(name, value, attr)
        except ValidationError:
            return [(None, [], 0)]


class MembershipForm(ModelForm):  # type: ignore[type-arg]  # no subscript at run time
    """Tells its choices what they are already, and how they are called: cells have no labels."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in {"user", "customer", "role"} & set(self.fields):
            shown: Any = self.fields[name].widget
            choice = getattr(shown, "widget", shown)
            choice.attrs["aria-label"] = self.fields[name].label
            if isinstance(choice, KnownChoice) and not self.instance._state.adding:
                choice.known = getattr(self.instance, name)


class MembershipInline(TabularInline):  # type: ignore[misc]
    model = Membership
    form = MembershipForm
    extra = 0
    autocomplete_fields = ["user", "customer"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        found: QuerySet[Membership] = super().get_queryset(request)
        return found.select_related("user", "customer")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        widget = KnownChoice(db_field, self.admin_site, using=kwargs.get("using"))
        return super().formfield_for_foreignkey(db_field, request, **(kwargs | {"widget": widget}))


class PersonForm(UserChangeForm):  # type: ignore[misc]
    """Underlines the link among the words: by its colour alone it is hard to tell from them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].help_text = format_html(
            "Nobody can read a password, but you can "
            '<a class="text-link underline" href="{}">set a new one</a>.',
            "../password/",
        )


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    """Who signs in. Users are switched off, not deleted: their traces matter."""

    form = PersonForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["email", "name", "is_active", "is_staff", "date_joined", "last_login"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    search_fields = ["email", "name"]
    ordering = ["-date_joined"]
    readonly_fields = ["date_joined", "last_login", "closed_at"]
    fieldsets = [
        (None, {"fields": ["email", "name", "password"]}),
        ("Rights", {"fields": ["is_active", "is_staff", "is_superuser", "user_permissions"]}),
        ("Dates", {"fields": ["date_joined", "last_login", "closed_at"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "name", "password1", "password2"]})]
    filter_horizontal = ["user_permissions"]
    inlines = [MembershipInline]
    actions = ["remove_second_factor"]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Only superusers hand out rights: others could give themselves all of them."""
        rights = (
            [] if request.user.is_superuser else ["is_staff", "is_superuser", "user_permissions"]
        )
        return [*self.readonly_fields, *rights]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Nobody below a superuser changes one, or sets one's password."""
        may_change = bool(super().has_change_permission(request, obj))
        return may_change and (request.user.is_superuser or obj is None or not obj.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    @admin.action(description="Remove the second factor", permissions=["change"])
    def remove_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """For who lost both phone and codes and proved who they are; signs them out everywhere."""
        allowed = [user for user in queryset if self.has_change_permission(request, user)]
        for user in allowed:
            Authenticator.objects.filter(user=user).delete()
            closing.end_sessions(user)
            self.log_change(request, user, "Removed the second factor.")
        messages.success(request, f"Second factors removed: {len(allowed)}.")


@admin.register(Customer)
class CustomerAdmin(ModelAdmin):  # type: ignore[misc]
    """The billed party. Other apps add inlines and links of what it owns."""

    list_display = ["__str__", "email", "kind", "country", "allowed_to_owe", "created_at"]
    list_filter = ["kind", "allowed_to_owe", ("closed_at", admin.EmptyFieldListFilter)]
    search_fields = ["id", "email", "name", "members__email"]
    ordering = ["-id"]
    fields = [
        "id", "kind", "name", "email", "country", "time_zone",
        "allowed_to_owe", "anchor_at", "created_at", "closed_at",
    ]  # fmt: skip
    readonly_fields = ["id", "kind", "anchor_at", "created_at", "closed_at"]
    inlines = [MembershipInline]
    actions = ["reopen"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Customers come from signing up: never without an owner."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Customer | None = None) -> bool:
        return False

    @admin.action(description="Open the selected closed accounts again", permissions=["change"])
    def reopen(self, request: HttpRequest, queryset: QuerySet[Customer]) -> None:
        """Undo a closing within its 30 days; keys stay revoked."""
        staff = cast("User", request.user)
        opened = [one for one in queryset if closing.reopen(one, actor=staff)]
        for customer in opened:
            self.log_change(request, customer, "Opened again.")
        messages.success(request, f"Accounts opened again: {len(opened)}.")


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):  # type: ignore[misc]
    """Keys as their owners see them; staff can revoke, never read or change a secret."""

    list_display = ["name", "prefix", "customer", "created_at", "last_used_at", "revoked_at"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["customer"]
    search_fields = ["prefix", "name", "customer__email"]
    ordering = ["-id"]
    fields = [
        "customer", "name", "prefix", "scopes", "created_by",
        "created_at", "last_used_at", "expires_at", "revoked_at",
    ]  # fmt: skip
    readonly_fields = fields
    actions = ["revoke"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Revoke each key that is not revoked yet, and leave a line in the log of staff actions."""
        revoked = [api_key for api_key in queryset if api_keys.revoke(api_key)]
        for api_key in revoked:
            self.log_change(request, api_key, "Revoked.")
        messages.success(request, f"Keys revoked: {len(revoked)}.")
