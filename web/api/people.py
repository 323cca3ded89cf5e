"""Operations on accounts and API tokens."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from inventory.errors import UnknownName
from web.access.grants import Grant, Level
from web.access.guard import who
from web.access.ports import TOKEN_DAYS, Access, AccountView, ApiTokenView
from web.api.operations import Operations, Strict
from web.api.paging import Page, PageParams, by_name, in_order

Said = Annotated[str, StringConstraints(min_length=1, max_length=80)]
GrantText = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class AccountOut(BaseModel):
    name: str
    grants: list[str]
    has_password: bool
    has_totp: bool
    disabled: bool
    created_at: str
    created_by: str
    seen_at: str


class TokenOut(BaseModel):
    id: str
    account: str
    note: str
    grant: str
    created_at: str
    expires_at: str
    revoked_at: str
    used_at: str


class NewTokenOut(TokenOut):
    token: str = Field(description="The token itself; it is not to be had again.")


class NewToken(Strict):
    note: Said
    grant: GrantText = Field(description="viewer, operator or admin; then labels, as in operator:site=berlin")
    days: int = Field(default=30, ge=1, le=TOKEN_DAYS)


def add(operations: Operations, access: Access) -> None:
    """Adds them to the others."""
    _reading(operations, access)
    _tokens(operations, access)


def _reading(operations: Operations, access: Access) -> None:

    @operations.add(
        "GET", "/accounts", level=Level.ADMIN, whole=True, answer=Page[AccountOut], params=PageParams
    )
    def list_accounts(params: PageParams) -> Any:
        """Every account, by name."""
        items, following = by_name(access.accounts(), params, lambda each: each.name)
        return {"items": [_account(each) for each in items], "next": following}

    @operations.add("GET", "/tokens", level=Level.VIEWER, answer=Page[TokenOut], params=PageParams)
    def list_tokens(params: PageParams) -> Any:
        """API tokens of whoever asks, the youngest first; of everybody for administrators."""
        asking = who()
        found = access.api_tokens("" if asking.may(Level.ADMIN) else asking.account)
        items, following = in_order(found, params, lambda each: each.id)
        return {"items": [_token(each) for each in items], "next": following}


def _tokens(operations: Operations, access: Access) -> None:
    @operations.add(
        "POST",
        "/tokens",
        level=Level.VIEWER,
        person=True,
        fresh=True,
        answer=NewTokenOut,
        secret=True,
        body=NewToken,
        status=201,
    )
    def create_token(body: NewToken) -> Any:
        """A new API token of whoever asks, which may never do more than they."""
        view, text = access.create_api_token(who(), Grant.parse(body.grant), note=body.note, days=body.days)
        return {**_token(view), "token": text}

    @operations.add("DELETE", "/tokens/<id_>", level=Level.VIEWER, answer=TokenOut)
    def revoke_token(id_: str) -> Any:
        """A token is good for nothing from now on."""
        asking = who()
        owner = "" if asking.may(Level.ADMIN) else asking.account
        found = next((each for each in access.api_tokens(owner) if each.id == id_), None)
        if found is None:
            raise UnknownName(f"there is no API token {id_[:40]!r}", fix="see the list of tokens")
        access.revoke_api_token(asking, id_)
        return _token(next(each for each in access.api_tokens(owner) if each.id == id_))


def _account(view: AccountView) -> dict[str, Any]:
    fields = {name: getattr(view, name) for name in AccountOut.model_fields}
    return {**fields, "grants": [str(grant) for grant in view.grants]}


def _token(view: ApiTokenView) -> dict[str, Any]:
    fields = {name: getattr(view, name) for name in TokenOut.model_fields}
    return {**fields, "grant": str(view.grant)}
