"""A real server process with its worker, and a real browser."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.sites import ROOT, drop_databases, environment, free_port, wait_for, web_command

PASSWORD = "alice-password-1"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Closed with the module: while it is open its event loop keeps other tests from the database."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def start_site(tmp_path_factory):
    """Start a server on a database of its own, prepared by Python code; gives its address."""
    processes: list[subprocess.Popen[bytes]] = []
    databases: list[str] = []

    def start(prepare: str) -> str:
        env = environment(tmp_path_factory.mktemp("site"), databases)
        subprocess.run(
            [sys.executable, "-c", f"import django\ndjango.setup()\n{prepare}"], cwd=ROOT, env=env, check=True
        )
        port = free_port()
        processes.extend(
            subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for command in (web_command(port), [sys.executable, "manage.py", "worker"])
        )
        wait_for(port)
        return f"http://127.0.0.1:{port}"

    yield start
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(timeout=20)
    drop_databases(databases)


@pytest.fixture
def open_page(chromium):
    """Sign Alice in and give her page; whatever the browser complains about fails the test."""

    @contextmanager
    def opened(site: str, **settings: Any) -> Iterator[Page]:
        context = chromium.new_context(base_url=site, **settings)
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.set_default_timeout(30_000)
        page.goto("/login/")
        page.fill("[name=username]", "alice")
        page.fill("[name=password]", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{site}/")
        yield page
        context.close()
        assert complaints == []

    return opened
