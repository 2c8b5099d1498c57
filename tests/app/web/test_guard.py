"""Tests of the checks before a request is answered."""

import pytest

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
