"""The search over everything that has a name, and what whom it shows."""

import pytest


@pytest.fixture
def found(client, full):
    return lambda text, by=client: by.get("/search", query_string={"q": text}).text.split("<main")[1]


@pytest.mark.parametrize(
    ("text", "kind", "href"),
    [
        ("porto-1", "node", "/nodes/porto-1"),
        ("Lisbon", "site", "/sites/porto"),
        ("berlin", "cluster", "/clusters/berlin"),
        ("security fixes", "rollout", "/rollouts/e9eba3b829d781c6"),
        ("e9eba3b8", "rollout", "/rollouts/e9eba3b829d781c6"),
        ("talos 1.13.9", "release", "/updates/talos-1.13.9"),
        ("night", "window", "/calendar?site=berlin"),
        ("olga", "account", "/settings#account-olga"),
        ("10.0.0.50", "pending", "/pending?see=3f9a6c1e#waiting-3f9a6c1e"),
        ("ability absent abandon", "pending", "/pending?see=3f9a6c1e#waiting-3f9a6c1e"),
    ],
)
def test_everything_with_a_name_is_found(found, text, kind, href):
    page = found(text)
    assert f'<span class="kind muted">{kind}</span> <a href="{href}">' in page


def test_where_it_leads_is_there(client, found):
    assert 'id="account-olga"' in client.get("/settings").text
    assert 'id="waiting-3f9a6c1e"' in client.get("/pending?see=3f9a6c1e").text


def test_only_administrators_find_people(found, login):
    for name in ("vera", "olga"):
        assert "account" not in found("otto", login(name))


def test_who_sees_one_site_finds_nothing_of_others(found, login):
    olga = login("olga")
    assert "rollout" not in found("security", olga)  # it is in Porto, too
    assert "Nothing fits" in found("porto", olga)
    assert "night" in found("night", olga)


def test_the_same_name_comes_first(found):
    page = found("berlin")
    assert page.index('href="/sites/berlin"') < page.index('href="/nodes/berlin-cp-1"')
