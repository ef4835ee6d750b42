"""The page at `/`: what it is made of, and what it does in headless Chromium."""

import re
import secrets

import driver
import numpy as np
import pytest
import running
import stand_in

from bridge_jax.serve import page, search
from bridge_jax.serve.security import Security

needs_chromium = pytest.mark.skipif(
    bool(driver.missing()),
    reason=f"no {', '.join(driver.missing())}: Debian's chromium and chromium-driver",
)
OUTSIDE = re.compile(r"(src|href|url|from|import)\W{1,3}(https?:)?//")


class Index:
    """Finds the same two ids for everything."""

    def __init__(self, *ids):
        self.ids = ids

    def search(self, queries, k):
        assert queries.shape == (1, 3)
        assert np.linalg.norm(queries) == pytest.approx(1)
        return [self.ids[:k]], np.array([[0.9, 0.5]], np.float32)[:, :k]


@pytest.fixture
def shelf(tmp_path):
    (tmp_path / "found.png").write_bytes(stand_in.picture(500, 300))
    there, gone = tmp_path / "found.png", tmp_path / "gone.png"
    return search.Shelf(Index(str(there), str(gone)))


def test_the_page_is_its_own_files_alone():
    files = page.files()
    assert {"index.html", "style.css", "main.js", "icon.svg"} <= set(files)
    for name, (content, _) in files.items():
        text = content.decode()
        assert not OUTSIDE.search(text.replace('xmlns="http://', "")), name
        # What the policy forbids.
        assert "style=" not in text and "onclick=" not in text, name
        assert "innerHTML" not in text and "eval(" not in text, name


@pytest.mark.anyio
async def test_its_addresses(client, served, shelf):
    assert (await client.get("/")).headers["content-type"].startswith("text/html")
    for name, (content, kind) in page.files().items():
        told = await client.get(f"/page/files/{name}")
        assert told.content == content and told.headers["content-type"] == kind
    for name in ("__init__.py", "..%2f__init__.py", "nothing.js"):
        assert (await client.get(f"/page/files/{name}")).status_code == 404
    about = (await client.get("/page/about")).json()
    assert about["model"] == "stand-in" and about["size"] == "8x8"
    assert not about["searches"]
    assert (await client.post("/page/search", json={"text": "a"})).status_code == 404
    served.shelf = shelf
    text, picture = {"text": "abc"}, {"picture": stand_in.data_url()}
    for query in (text, picture, text | picture):
        told = await client.post("/page/search", json=query | {"k": 2})
        first, second = told.json()["results"]
        assert (first["name"], second["name"]) == ("found.png", "gone.png")
        assert first["picture"].startswith("data:image/png;base64,")
        assert second["picture"] is None and first["score"] == pytest.approx(0.9)
        assert str(shelf._index.ids[0]) not in told.text
    for query in (
        {},
        {"text": ""},
        {"text": "a", "picture": "x"},
        {"k": 0, "text": "a"},
    ):
        assert (await client.post("/page/search", json=query)).status_code == 400


@pytest.fixture(scope="module")
def chromedriver():
    with driver.driver() as address:
        yield address


SEEN = "return document.querySelectorAll(arguments[0]).length === arguments[1]"
SAYS = "return document.querySelector(arguments[0])?.innerText.includes(arguments[1])"


@needs_chromium
def test_in_a_browser(served, shelf, chromedriver, tmp_path, backend):
    """A visitor tries every tab; nothing is loaded from elsewhere or complained of."""
    served.shelf = shelf
    (tmp_path / "mine.png").write_bytes(stand_in.picture())
    with (
        running.server(served, Security()) as address,
        driver.window(chromedriver) as browser,
    ):
        browser.open(address)
        browser.until("return document.body.dataset.ready")
        browser.type("#chat-files", str(tmp_path / "mine.png"))
        browser.until(SEEN, "#chat-thumbs img", 1)
        browser.type("#chat-text", "what is it?\n")
        browser.until(SAYS, ".said.theirs:not(.waits)", "<picture>what is it?")
        browser.type("#chat-text", "and now?")
        browser.click("#chat-send")
        browser.until(SEEN, ".said.theirs:not(.waits)", 2)
        assert len(backend.asked[-1].messages) == 3

        browser.click("#tab-draw")
        browser.type("#draw-prompt", "a star")
        browser.click(".switch label:last-of-type")
        browser.click("#draw-go")
        browser.until(SEEN, "#drawn .picture figcaption", 4)
        assert browser.text("#drawn").count("Drawn as: a caption of a star") == 2
        told = [wish.choices["condition"] for wish in backend.asked[-2:]]
        assert sorted(told) == ["queries", "text"]

        browser.click("#drawn .picture button:nth-of-type(2)")
        browser.type("#edit-text", "make it blue")
        browser.click("#edit-go")
        browser.until(SEEN, "#edited .picture figcaption", 1)
        assert "a caption of make it blue" in browser.text("#edited")
        assert backend.asked[-1].picture.startswith(b"\x89PNG")

        browser.click("#tab-search")
        browser.type("#search-text", "anything\n")
        browser.until(SEEN, "#found .found > *", 2)
        assert "no picture" in browser.text("#found")

        browser.click("#tab-chat")
        browser.click("#chat-new")
        browser.until(SEEN, ".said", 0)
        browser.type("#chat-text", "a bridge error\n")
        browser.until(SAYS, "#trouble", "too long: the file a file")
        loaded = browser.run(
            "return performance.getEntriesByType('resource').map((one) => one.name)"
        )
        assert loaded and all(
            name.startswith((address, "data:", "blob:")) for name in loaded
        )
        complaints = [one for one in browser.logged() if "status of 400" not in one]
        assert not complaints


@needs_chromium
def test_it_asks_for_the_token(served, chromedriver):
    token = secrets.token_urlsafe()
    with (
        running.server(served, Security(token=token)) as address,
        driver.window(chromedriver, dark=True, width=500) as browser,
    ):
        browser.open(address)
        browser.until("return document.getElementById('door').open")
        browser.type("#door-token", token + "\n")
        browser.until("return document.body.dataset.ready")
        assert browser.run("return matchMedia('(prefers-color-scheme: dark)').matches")
        # Nothing sticks out of a narrow window.
        wide = "return document.documentElement.scrollWidth > innerWidth"
        for name in ("draw", "edit", "search", "chat"):
            browser.click(f"#tab-{name}")
            assert not browser.run(wide), name
