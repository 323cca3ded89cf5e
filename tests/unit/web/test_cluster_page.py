"""The page of a cluster: etcd, cordons and snapshots as they were read last, with their age."""

from dataclasses import replace
from datetime import timedelta


def test_a_cluster_shows_etcd_as_it_was_read(client, queries):
    page = client.get("/clusters/berlin").text
    assert "etcd leader</text>" in page
    assert "etcd learner · cordoned</text>" in page
    assert "not in etcd</text>" in page
    assert "1 of 1 voting members are well, 1 are needed" in page
    assert "from berlin-cp-1, before the disks are changed, by local:ada" in page
    assert 'data-copy="cto etcd snapshot berlin"' in page
    queries.now += timedelta(minutes=14)
    page = client.get("/clusters/berlin").text
    assert "not known: read 14 min ago" in page
    assert "etcd leader</text>" not in page


def test_a_cluster_of_which_nothing_was_read_says_so(client):
    page = client.get("/clusters/porto").text
    assert "not known: never read" in page
    assert "Not read yet" in page
    assert '<span class="stale">not known</span>' in page


def test_why_no_quorum_is_known_and_what_to_do(client, queries):
    read = {
        "at": "2026-03-02T11:59:30Z",
        "members": [],
        "agree": 0,
        "asked": 1,
        "silent": {"porto-1": "<dark>"},
    }
    kept = {"id": "5b0e", "at": "2026-03-02T06:00:00Z"}
    queries.cluster_views = [replace(each, etcd=read, snapshot=kept) for each in queries.cluster_views]
    page = client.get("/clusters/porto").text
    assert "no control plane lists its members" in page
    assert "porto-1: &lt;dark&gt;" in page
    assert 'data-copy="cto cluster recover porto --snapshot 5b0e"' in page
