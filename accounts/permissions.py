"""What a caller of the API may do."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.authentication import Program
from accounts.http import NoCustomer, PortalRequest, RoleInsufficient
from accounts.models import Membership
from accounts.scopes import Scope
from common.errors import Forbidden


class ScopeMissing(Forbidden):
    code = "scope_missing"


class ForCustomer(BasePermission):
    """For callers who act for a customer, within what they may do for it.

    A view names ``required_scopes``: a tuple, or one per method. A program needs all of them; a
    user needs a role that may pay where one of them pays. A view that names none is closed to
    programs, so that a new view cannot be open to every key by accident.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        caller: Any = request.user  # a user, a program or nobody
        acting = cast("PortalRequest", request)
        if not caller.is_authenticated:
            return False
        if not acting.customer:
            raise NoCustomer
        needed = _needed(request, view)
        if isinstance(caller, Program):
            _check_program(caller, needed)
        elif acting.membership:
            _check_member(acting.membership, request, needed)
        return True


def _needed(request: Request, view: Any) -> tuple[Scope, ...] | None:
    declared: Mapping[str, Iterable[Scope]] | Iterable[Scope] | None
    declared = getattr(view, "required_scopes", None)
    if isinstance(declared, Mapping):
        method = "GET" if request.method in ("HEAD", "OPTIONS") else request.method
        declared = declared.get(method or "")
    return None if declared is None else tuple(declared)


def _check_program(program: Program, needed: tuple[Scope, ...] | None) -> None:
    if needed is None:
        raise ScopeMissing("API keys cannot be used for this call.")
    missing = [scope.name for scope in needed if scope.name not in program.api_key.scopes]
    if missing:
        raise ScopeMissing(f"This API key lacks the scope {', '.join(missing)}.")


def _check_member(
    membership: Membership, request: Request, needed: tuple[Scope, ...] | None
) -> None:
    pays = needed is None or any(scope.pays for scope in needed)
    if request.method not in SAFE_METHODS and pays and not membership.may_pay:
        raise RoleInsufficient
