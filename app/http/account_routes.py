"""One's own account, what one shares, and for admins the accounts of all. Only with logins."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, HTTPException
from fastapi.responses import FileResponse

from app.accounts.accounts import Account
from app.accounts.people import People
from app.errors import NotAllowed
from app.http.answers import accounts as answers
from app.http.described import PICTURE, tells, text

_To = text("An account; empty: everyone.", "bob", embed=True)
_Disk = Annotated[float | None, Body(description="GB of disk; none: as it is.", examples=[20])]
_Queue = Annotated[int | None, Body(description="Jobs that have not ended; none: as it is.", examples=[20])]


def routes(people: People, account: Account) -> APIRouter:
    """The routes of one person."""
    router = APIRouter(prefix="/studio", tags=["accounts"])

    @router.get("/account", **tells(answers.Account))
    def own() -> dict[str, Any]:
        """Who you are, what you have of disk and queue, and how much of it you may have."""
        return people.told(people.register.accounts.get(account.name))

    _add_shares(router, people, account)
    _add_accounts(router, people, account)
    return router


def _add_shares(router: APIRouter, people: People, account: Account) -> None:
    shares, lent = people.register.shares, people.register.shares.lent_to(account.id)

    @router.get("/shares", **tells(list[answers.Share]))
    def mine() -> list[dict[str, str]]:
        """Your adapters that others may paint with; `to` is '' for everyone."""
        return shares.of(account)

    @router.post("/library/{name}/share", **tells(answers.Share))
    def share(name: str, to: _To = "") -> dict[str, str]:
        """Let the account `to`, or everyone, paint with an adapter; they call it NAME@OWNER. Nothing is copied."""
        return shares.share(account, name, to)

    @router.post("/library/{name}/unshare", **tells(answers.Share))
    def unshare(name: str, to: _To = "") -> dict[str, str]:
        """Take that back; it ends at once."""
        return shares.unshare(account, name, to)

    @router.get("/shared", **tells(list[answers.Lent]))
    def shared() -> list[dict[str, Any]]:
        """Adapters of others that you may paint with; `called` is what to write for them."""
        return lent.told()

    @router.get("/shared/{called}/preview", **PICTURE)
    def preview(called: str) -> FileResponse:
        """The preview picture of one of these."""
        path = lent.file(called).with_suffix(".preview.png")
        if not path.is_file():
            raise HTTPException(404)
        return FileResponse(path)


def _add_accounts(router: APIRouter, people: People, account: Account) -> None:
    def only_admins() -> None:
        if account.role != "admin":
            raise NotAllowed("Accounts are seen and changed by admins alone; ask one.")

    accounts = APIRouter(prefix="/accounts", dependencies=[Depends(only_admins)])

    @accounts.get("", **tells(list[answers.Account]))
    def every() -> list[dict[str, Any]]:
        """Every account with what it has and may have; nothing of what it made."""
        return [people.told(a) for a in people.register.accounts.all()]

    @accounts.patch("/{name}", **tells(answers.Account))
    def allow(name: str, disk_gb: _Disk = None, queue: _Queue = None) -> dict[str, Any]:
        """Set an account's quotas of disk and queue."""
        return people.told(people.register.accounts.set_quota(name, disk_gb, queue))

    router.include_router(accounts)
