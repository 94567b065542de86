import asyncio
import ipaddress
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntype.serve.limits import Buckets, Gate, Pool, client_of
from syntype.serve.problems import Problem


def test_tokens_run_out_and_come_back() -> None:
    now = [0.0]
    buckets = Buckets(60.0, clock=lambda: now[0])
    assert [buckets.take("a") for _ in range(61)] == [0] * 60 + [1]
    assert buckets.take("b") == 0  # another client has its own
    now[0] = 1.5
    assert [buckets.take("a"), buckets.take("a")] == [0, 1]
    assert buckets.take("a", 0.1) == 0
    now[0] = 1e6
    assert [buckets.take("a") for _ in range(61)] == [0] * 60 + [1]


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0.1, 5)), max_size=60))
def test_nobody_gets_more_than_a_full_bucket_and_what_came_back(asked) -> None:
    now = [0.0]
    buckets = Buckets(30.0, clock=lambda: now[0])
    taken = 0.0
    for wait, cost in asked:
        now[0] += wait
        again = buckets.take("a", cost)
        taken += 0 if again else cost
        assert taken <= 30 + now[0] / 2 + 1e-6
        if again:  # whoever waits as long as told is let in
            now[0] += again
            assert buckets.take("a", cost) == 0
            taken += cost


def test_addresses_that_are_remembered_are_bounded() -> None:
    buckets = Buckets(1.0, most=100)
    for i in range(1000):
        buckets.take(str(i))
    assert len(buckets) == 100
    assert Buckets(0.0).take("a") == 0


FORWARDED = [
    (("10.0.0.1", "1.2.3.4", 0), "10.0.0.1"),
    (("10.0.0.1", "6.6.6.6, 1.2.3.4", 1), "1.2.3.4"),
    (("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", 2), "1.2.3.4"),
    (("10.0.0.1", "1.2.3.4", 2), "10.0.0.1"),
    (("10.0.0.1", "", 1), "10.0.0.1"),
    (("10.0.0.1", "evil\r\nname", 1), "unknown"),
    (("2001:db8:1:2:3:4:5:6", "", 0), "2001:db8:1:2::/64"),
    (("::ffff:1.2.3.4", "", 0), "1.2.3.4"),
    (("testclient", "", 0), "unknown"),
]


@pytest.mark.parametrize(("given", "expected"), FORWARDED)
def test_the_client_is_whom_the_last_trusted_proxy_saw(given, expected) -> None:
    assert client_of(*given) == expected


@given(st.text(), st.text(), st.integers(0, 3))
def test_whatever_a_header_says_a_client_is_an_address(peer, forwarded, proxies) -> None:
    found = client_of(peer, forwarded, proxies)
    assert found == "unknown" or ipaddress.ip_network(found)


def test_a_pool_whose_queue_is_full_says_come_again() -> None:
    async def main() -> None:
        pool, free = Pool("test", 1, 2), threading.Event()
        running = [asyncio.create_task(pool.run(free.wait, 5)) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert pool.queued == 2
        with pytest.raises(Problem) as refused:
            await pool.run(print)
        assert refused.value.status == 503
        assert "Retry-After" in refused.value.headers
        running[2].cancel()  # a visitor who leaves frees no place before the work is done
        await asyncio.sleep(0.01)
        with pytest.raises(Problem):
            await pool.run(print)
        free.set()
        assert await running[0]
        assert await running[1]
        await asyncio.sleep(0.01)
        assert pool.queued == 0
        assert await pool.run(lambda: 7) == 7
        pool.close()

    asyncio.run(main())


def test_errors_come_out_of_a_pool() -> None:
    async def main() -> None:
        pool = Pool("test", 1, 1)
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 / 0)
        pool.close()

    asyncio.run(main())


def test_a_gate_lets_so_many_in() -> None:
    gate = Gate(1)
    with gate.enter(), pytest.raises(Problem), gate.enter():
        pass
    with gate.enter():
        pass


def test_requests_beyond_the_rate_are_429(make_client) -> None:
    client = make_client(requests_per_minute=6.0)
    statuses = [client.get("/api/v1/timeline").status_code for _ in range(7)]
    assert statuses == [200] * 6 + [429]
    refused = client.get("/api/v1/timeline")
    assert refused.json()["code"] == "too-many"
    assert 1 <= int(refused.headers["Retry-After"]) <= 10
    assert "syntype_rate_limited_total 2.0" in client.app.state.desk.metrics.text().decode()


def test_pictures_and_parts_of_the_page_cost_a_tenth(make_client) -> None:
    client = make_client(requests_per_minute=6.0)
    address = "/api/v1/media/thumbnail?id=cabinet/plain"
    assert [client.get(address).status_code for _ in range(50)] == [200] * 50


def test_forwarded_addresses_count_only_where_proxies_are_told(make_client) -> None:
    for proxies, expected in [(0, 429), (1, 200)]:
        client = make_client(requests_per_minute=1.0, proxies=proxies)
        for address in ("1.1.1.1", "2.2.2.2"):
            headers = {"X-Forwarded-For": f"9.9.9.9, {address}"}
            reply = client.get("/api/v1/timeline", headers=headers)
        assert reply.status_code == expected


def test_searches_do_not_stop_the_event_loop(make_client, monkeypatch) -> None:
    client = make_client()
    index = client.app.state.desk.index
    plain, there = index.years, threading.Event()

    def slow(where):
        there.set()
        time.sleep(0.4)
        return plain(where)

    monkeypatch.setattr(index, "years", slow)
    waiting = threading.Thread(target=client.get, args=("/api/v1/timeline",))
    waiting.start()
    there.wait()
    began = time.perf_counter()
    assert client.get("/api/v1/suggest?q=van").status_code == 200
    assert time.perf_counter() - began < 0.3
    waiting.join()


def test_a_full_pool_is_503_and_health_still_answers(make_client, monkeypatch) -> None:
    client = make_client(threads=1, waiting=1)
    index, free = client.app.state.desk.index, threading.Event()
    monkeypatch.setattr(index, "years", lambda where: free.wait(5) and [])
    waiting = [
        threading.Thread(target=client.get, args=(f"/api/v1/timeline?sex={i}",)) for i in range(2)
    ]
    for one in waiting:
        one.start()
    while client.app.state.desk.searching.queued < 1:
        time.sleep(0.005)
    busy = client.get("/api/v1/facets")
    assert (busy.status_code, busy.json()["code"]) == (503, "busy")
    assert int(busy.headers["Retry-After"]) > 0
    assert client.get("/api/v1/health").json()["status"] == "ok"
    free.set()
    for one in waiting:
        one.join()
