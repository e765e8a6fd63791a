"""Fixtures that every test may use: real servers, started when first asked for and ended with the test run."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Generator, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from label_studio_quorum.servers.label_studio import WITH_PLUGIN
from tests.support.servers import LabelStudioServer, MlServer, label_studio_server, ml_backend_server

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
TOO_SLOW = ["^StartError", "^TimeoutError", "^ReadTimeout"]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What collecting imports stays to the end: the garbage collector need not walk through it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest modules first, and one more try for what a busy machine was too slow for; a wrong answer gets none."""
    for item in items:
        if needs_server(item):
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=3, only_rerun=TOO_SLOW))
    # Two workers take whole modules from the front: with short ones last, neither waits long for the other at the end.
    # Of the long ones the last of the alphabet come first, because those need not wait for the first server's database.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    serving = {item.path for item in items if needs_server(item)}
    place = {path: number for number, path in enumerate(dict.fromkeys(item.path for item in items))}
    items.sort(key=lambda item: (item.path not in slow, item.path not in serving, -place[item.path]))


def needs_server(item: pytest.Item) -> bool:
    """Whether the test talks to a real server or a real browser."""
    return item.get_closest_marker("server") is not None or item.get_closest_marker("browser") is not None


@pytest.fixture(scope="session")
def ls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    """A stock Label Studio server that all tests of the run share; make your own project and people in it."""
    with label_studio_server(tmp_path_factory.mktemp("ls-stock")) as server:
        yield server


@pytest.fixture(scope="session")
def ls_server_plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    """A Label Studio server with the plugin that all tests of the run share."""
    with label_studio_server(tmp_path_factory.mktemp("ls-plugin"), WITH_PLUGIN) as server:
        yield server


@pytest.fixture(scope="session")
def ml_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlServer]:
    """The ML backend with its default models, shared by all tests of the run."""
    with ml_backend_server(tmp_path_factory.mktemp("ml")) as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A real chromium without a window; each test opens its own context: `chromium.new_context(base_url=…)`."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no chromium on this machine; on Debian: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        try:
            yield browser
        finally:
            browser.close()
