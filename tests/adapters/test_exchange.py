"""The switch of the adapters: what is exchanged comes back, whoever asks how often."""

from types import ModuleType

import pytest

from fastconv.adapters.exchange import Exchange


@pytest.fixture
def host():
    module = ModuleType("host")
    module.first, module.second = "their first", "their second"
    return module


@pytest.fixture
def exchange(host):
    return Exchange(lambda: {host: {"first": "our first"}})


def test_the_hosts_own_comes_back(host, exchange):
    exchange.disable()    # nothing, where nothing was enabled
    exchange.enable()
    exchange.enable()
    assert (host.first, host.second) == ("our first", "their second")
    assert exchange.own(host, "first") == "their first" and exchange.own(host, "second") == "their second"
    exchange.disable()
    assert host.first == exchange.own(host, "first") == "their first"
    host.first = "theirs as they have changed it"
    with exchange.enabled():
        assert host.first == "our first"
    assert host.first == "theirs as they have changed it"


def test_a_block_leaves_all_as_it_was(host, exchange):
    with pytest.raises(KeyError), exchange.enabled() as report:
        with exchange.enabled() as inner:
            assert inner is report is exchange.report()
        assert host.first == "our first"
        raise KeyError
    assert host.first == "their first"
    exchange.enable()
    with exchange.enabled():
        pass
    assert host.first == "our first"


def test_a_host_that_is_missing_changes_nothing(host):
    def find():
        raise ImportError("pip install host")

    exchange = Exchange(find)
    with pytest.raises(ImportError, match="pip install host"), exchange.enabled():
        pass
    exchange.disable()
    assert host.first == "their first"


def test_a_name_that_the_host_has_not_changes_nothing(host):
    exchange = Exchange(lambda: {host: {"first": "our first", "third": "our third"}})
    with pytest.raises(KeyError, match="third"):
        exchange.enable()
    assert host.first == "their first" and not hasattr(host, "third")
