"""The parent application: files, headers, hosts, origins."""

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.studio import Studio


@pytest.fixture
def client(whole: TestClient) -> TestClient:
    """Of the page too: it stands behind the same checks."""
    return whole


def test_the_page_comes_with_a_policy_and_asks_nobody_else(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200 and "Semblance" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "googleapis" not in page.text.split("<script")[0]


def test_a_strange_host_header_is_refused(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400


def test_no_origin_is_allowed_to_read(client: TestClient) -> None:
    answer = client.get("/", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_only_pictures_of_the_studio_are_served(client: TestClient, studio: Studio) -> None:
    Image.new("RGB", (8, 8)).save(studio.home.images / "20260101-000000-abcdef-0.png")
    assert client.get("/studio/images/20260101-000000-abcdef-0.png").status_code == 200
    (studio.home.root / "secret.png").write_bytes(b"x")
    for path in ("../secret.png", "..%2fsecret.png", "%2e%2e/secret.png", "secret.png"):
        assert client.get(f"/studio/images/{path}").status_code in (400, 404)
    for path in ("/studio/runs/x/previews/step00000000-0.png", "/studio/runs/..%2f/previews/a.png"):
        assert client.get(path).status_code == 404


def test_a_missing_adapter_is_a_sentence(client: TestClient) -> None:
    answer = client.get("/studio/library/ghost/export/kohya")
    assert answer.status_code == 400 and "no adapter 'ghost'" in answer.json()["error"]
