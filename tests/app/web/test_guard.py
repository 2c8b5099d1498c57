"""Tests of the checks before a request is answered."""

import pytest

from nircolor.app.web.brake import client_of
from tests.app.web.conftest import upload

TOKEN = {"token": "open sesame"}


def test_a_token_is_needed_for_all_but_signs_of_life(server):
    with server(**TOKEN) as client:
        for path in ("/api", "/docs", "/openapi.json", "/metrics", "/example.jpg", "/api/images/x/result"):
            answer = client.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "Authorization: Bearer" in answer.json()["detail"]
        assert client.post("/api/colorize").status_code == 401
        assert client.get("/health").status_code == 200
        assert client.get("/static/style.css").status_code == 200
        right, wrong = ({"authorization": f"Bearer {token}"} for token in ("open sesame", "open sesam"))
        assert client.get("/api", headers=right).status_code == 200
        assert client.get("/api", headers=wrong).status_code == 401
        assert client.get("/api", headers={"cookie": "nircolor=open sesame"}).status_code == 401


def test_a_browser_signs_in_with_a_form(server):
    with server(**TOKEN) as client:
        page = client.get("/")
        assert page.status_code == 401
        assert 'name="token"' in page.text
        refused = client.post("/login", data={"token": "wrong"})
        assert refused.status_code == 401
        assert '<p class="problem" role="alert">' in refused.text
        assert "set-cookie" not in refused.headers
        accepted = client.post("/login", data=TOKEN, follow_redirects=False)
        assert (accepted.status_code, accepted.headers["location"]) == (303, "/")
        cookie = accepted.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "sesame" not in cookie
        assert client.get("/api").status_code == 200


@pytest.mark.parametrize("way", ["bearer", "cookie", "form"])
def test_who_guesses_the_token_has_to_wait(server, monkeypatch, way):
    now = 1000.0
    monkeypatch.setattr("nircolor.app.web.brake.monotonic", lambda: now)

    def ask(token):
        if way == "form":
            return client.post("/login", data={"token": token}, follow_redirects=False).status_code
        given = {"authorization": f"Bearer {token}"} if way == "bearer" else {"cookie": f"nircolor={token}"}
        return client.get("/api", headers=given).status_code

    with server(**TOKEN) as client:
        # without a token, nothing is guessed
        assert {client.get("/api").status_code for _ in range(20)} == {401}
        assert [ask("guess") for _ in range(11)] == [401] * 11
        refused = client.get("/api", headers={"authorization": "Bearer open sesame"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json() == {"detail": "too many wrong tokens; try again in 1 s"}
        assert client.post("/login", data=TOKEN).status_code == 429
        assert client.get("/health").status_code == 200
        now += 1.5
        assert ask("guess") == 401
        now += 1.5
        assert ask("guess") == 429
        now += 1
        right = client.get("/api", headers={"authorization": "Bearer open sesame"})
        assert right.status_code == 200


def test_an_outdated_cookie_is_deleted(server):
    with server(**TOKEN) as client:
        answer = client.get("/", headers={"cookie": "nircolor=of-another-token"})
        assert 'nircolor=""; ' in answer.headers["set-cookie"]
        assert "max-age=0" in answer.headers["set-cookie"].lower()


def test_the_clients_of_ipv6_networks():
    assert client_of({"client": ("192.0.2.7", 1)}) == "192.0.2.7"
    assert client_of({"client": ("2001:db8:0:1:2:3:4:5", 1)}) == client_of({"client": ("2001:db8:0:1::9", 1)})
    assert client_of({"client": ("2001:db8:0:2::9", 1)}) != client_of({"client": ("2001:db8:0:1::9", 1)})
    assert client_of({"client": None}) == ""


def test_an_upload_that_is_too_large(server, photograph):
    with server(max_upload_bytes=1000) as client:
        expected = "request: expected at most 0.001 MB (nircolor serve --max-upload), got more"
        answer = upload(client, photograph)
        assert (answer.status_code, answer.json()["detail"]) == (413, expected)
        # a length that is not stated
        answer = client.post(
            "/api/images",
            content=(b"x" * 500 for _ in range(5)),
            headers={"content-type": "multipart/form-data; boundary=b"},
        )
        assert answer.status_code == 413, answer.text


def test_options_that_are_too_long(client):
    """Unlike files, they are kept in memory."""
    for content in (b"[" * 200_000, (b"[" * 1000 for _ in range(200))):
        answer = client.post(
            "/api/images/x/run", content=content, headers={"content-type": "application/json"}
        )
        assert (answer.status_code, answer.json()["detail"]) == (
            413, "request: expected at most 0.1 MB, got more",
        )  # fmt: skip


def test_other_web_sites_cannot_use_the_server(server, photograph):
    with server(hosts=frozenset({"127.0.0.1"})) as client:
        assert client.get("/health", headers={"host": "evil.example:8000"}).status_code == 403
        assert client.get("/health", headers={"host": "127.0.0.1"}).status_code == 200
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 201), ("none", 201)):
            answer = upload(client, photograph, headers={"sec-fetch-site": site})
            assert answer.status_code == status


@pytest.mark.parametrize("path", ["/", "/docs", "/api", "/static/app.js", "/nothing"])
def test_headers_of_all_answers(client, path):
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("path", ["/static/../api.py", "/static/%2e%2e/api.py", "/static/..%2fapi.py"])
def test_only_the_files_of_the_page_are_served(client, path):
    assert client.get(path).status_code == 404
