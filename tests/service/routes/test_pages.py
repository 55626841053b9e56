"""The page and its files, as a client without a browser sees them."""

from __future__ import annotations

import pytest

from maskzoo.service.problems import table_of_problems


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_is_html_that_is_checked_for_changes(client, path):
    answer = client.get(path)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"


def test_the_table_of_problems_lists_each_kind_once(client):
    listed = client.get("/docs/problems.json").json()
    assert listed == [
        {"slug": kind.slug, "status": kind.status, "title": kind.title}
        for kind in table_of_problems()
    ]


@pytest.mark.parametrize("path", ["/web/../app.py", "/web/%2e%2e/app.py", "/web/", "/web/x.js"])
def test_only_files_of_the_page_are_served(client, path):
    assert client.get(path).status_code == 404
