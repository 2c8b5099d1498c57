"""Checks before a request is answered: host, origin, token, size; and headers of all answers."""

import hashlib
import hmac
import math
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

from fastapi import HTTPException
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from nircolor.app.web.brake import Brake, client_of
from nircolor.app.web.settings import Settings

App = Callable[..., Awaitable[None]]

COOKIE: Final = "nircolor"
# what may be fetched without the token: nothing in it is secret
_PUBLIC: Final = ("/health", "/login", "/static/")
# of options and of the token
_LARGEST_TEXT_BYTES: Final = 100_000
_HEADERS: Final = {
    # the page loads its own files only, and nobody may embed it
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware that refuses requests, and adds headers to answers.

    Args:
        app: The application.
        settings: Token, host names and largest upload.
        login_page: HTML of the page that asks for the token.
        brake: Counts wrong tokens.
    """

    def __init__(self, app: App, settings: Settings, login_page: str, brake: Brake) -> None:
        self._app, self._settings, self._login_page, self._brake = app, settings, login_page, brake

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                added = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message["headers"], *(one for one in added if one[0] not in present)]
            await send(message)

        answer = self._refusal(scope, headers) or self._login(scope, headers) or self._app
        await answer(scope, self._limited(receive, self._limit(headers)), send_with_headers)

    def _refusal(self, scope: Any, headers: dict[str, str]) -> Any:
        settings = self._settings
        host = _name_of(headers.get("host", ""))
        if settings.hosts and host not in settings.hosts:
            expected = ", ".join(sorted(settings.hosts))
            return _problem(403, f"host: expected {expected}, got {host or 'none'} (nircolor serve --host)")
        # a page of another site that a user has open must not use the server with the user's rights
        if scope["method"] not in ("GET", "HEAD") and headers.get("sec-fetch-site", "") in (
            "cross-site",
            "same-site",
        ):
            return _problem(403, "expected a request of the server's own page, got one of another web site")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._limit(headers):
            return _problem(413, _too_large(self._limit(headers)))
        return None

    def _limit(self, headers: dict[str, str]) -> int:
        """Return the largest size of a request; only files are written to disk while they are received."""
        is_upload = headers.get("content-type", "").lower().startswith("multipart/form-data")
        return self._settings.max_upload_bytes if is_upload else _LARGEST_TEXT_BYTES

    def _login(self, scope: Any, headers: dict[str, str]) -> Any:
        token, path = self._settings.token, scope["path"]
        if token is None or (path.startswith(_PUBLIC) and path != "/login"):
            return None
        client = client_of(scope)
        wait_s = math.ceil(self._brake.wait_s(client))
        if wait_s:
            detail = f"too many wrong tokens; try again in {wait_s} s"
            return _problem(429, detail, {"retry-after": str(wait_s)})
        if path == "/login":
            return None
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and is_token(value.strip().encode("latin-1"), token):
            return None
        cookie = _cookie_in(headers)
        if hmac.compare_digest(cookie, cookie_of(token)):
            return None
        if value or cookie:
            self._brake.failed(client)
        if path == "/":
            page = HTMLResponse(self._login_page, 401)
            # one of another token would count as wrong with each request
            page.delete_cookie(COOKIE)
            return page
        detail = "expected the token of the server, as in the header Authorization: Bearer TOKEN"
        return _problem(401, detail, {"www-authenticate": "Bearer"})

    def _limited(self, receive: Any, limit: int) -> Any:
        """Count the bytes of a body whose length is not stated, or stated wrongly."""
        count = 0

        async def counted() -> Any:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > limit:
                raise HTTPException(413, _too_large(limit))
            return message

        return counted


def is_token(given: bytes, token: str) -> bool:
    """Compare a token, as encoded in UTF-8, in constant time."""
    return hmac.compare_digest(given, token.encode())


def cookie_of(token: str) -> str:
    """Return the value of the cookie of a signed-in browser; it does not disclose the token."""
    return hashlib.sha256(b"nircolor cookie " + token.encode()).hexdigest()


def signed_in(token: str) -> RedirectResponse:
    """Return the answer that signs a browser in and shows the page."""
    answer = RedirectResponse("/", 303)
    answer.set_cookie(COOKIE, cookie_of(token), httponly=True, samesite="strict")
    return answer


def _cookie_in(headers: dict[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None or not found.value.isascii() else found.value


def _name_of(host: str) -> str:
    """Return the name in a ``Host`` header, without the port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def _too_large(limit: int) -> str:
    option = "" if limit == _LARGEST_TEXT_BYTES else " (nircolor serve --max-upload)"
    return f"request: expected at most {limit / 1e6:g} MB{option}, got more"


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)
