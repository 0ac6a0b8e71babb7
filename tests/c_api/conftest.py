import pytest
from c_api.clients import built_client, loaded


@pytest.fixture(scope="session")
def client_folder(tmp_path_factory):
    return built_client(tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="session")
def client(client_folder):
    """The module of client.c, compiled against the fastconv that is tested."""
    return loaded(client_folder, "client")
