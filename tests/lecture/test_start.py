"""The page as a program: the command, the server on a socket, how soon it is there."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from processes import command, in_new_process, with_ctrl_c

import fastconv as fc
from fastconv import data, nn
from fastconv.lecture import routes, wire


@pytest.fixture(scope="module")
def served():
    with fc.lecture(browser=False, block=False) as page:
        yield page.address


def post(address, body, headers=()):
    host, path = re.fullmatch("http://([^/]+)(/.*)", address).groups()
    with contextlib.closing(http.client.HTTPConnection(host)) as connection:
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_over_a_socket(served):
    with urllib.request.urlopen(f"{served}?lang=ko") as answer:
        assert b"<title>" in answer.read() and answer.headers["Content-Type"].startswith("text/html")
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    status, body = post(f"{served}api/forward", wire.pack({"image": "digit:2"}, {}))
    assert status == 200 and wire.unpack(body)[1]["probabilities"].shape == (10,)


def test_a_connection_is_kept(served):
    """Another one for each request would cost more than the answer."""
    host, path = re.fullmatch("http://([^/]+)(/.*)", served).groups()
    with contextlib.closing(http.client.HTTPConnection(host)) as connection:
        for _ in range(3):
            connection.request("POST", f"{path}api/conv", wire.pack({}, {}))
            answer = connection.getresponse()
            assert answer.status == 200 and int(answer.headers["Content-Length"]) == len(answer.read())
            connection.sock.getpeername()  # it would be None, had the server closed it


def test_too_large_a_body_is_answered_and_not_kept(served):
    assert post(f"{served}api/conv", bytes(9 * 2**20))[0] == 413
    assert post(f"{served}api/conv", wire.pack({}, {}), {"Origin": "http://evil.example"})[0] == 403


@pytest.mark.parametrize("line", [b"Content-Length: many\r\n", b"Content-Length: %s\r\n" % (b"9" * 5000),
                                  b"Transfer-Encoding: chunked\r\n", b""])
def test_a_body_of_unknown_length_is_refused(served, line):
    host, port, path = re.fullmatch(r"http://([\d.]+):(\d+)(/.*)", served).groups()
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(b"POST " + path.encode() + b"api/conv HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 411")


def test_only_this_computer_reaches_it(served):
    assert re.match(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/$", served)


def test_many_at_once(served):
    """Each request has a thread of its own; each gets its own answer."""
    wrong = []

    def ask(number):
        body = post(f"{served}api/picture", wire.pack({"image": f"digit:{number}"}, {}))[1]
        if not np.array_equal(wire.unpack(body)[1]["image"], data.digits("test").images[number]):
            wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_files_that_the_page_gives(served, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"a": rng.standard_normal((2, 3)).astype(np.float32), "b": np.float32([0.1, -7, 1e-30])}
    (tmp_path / "x.npz").write_bytes(post(f"{served}api/npz", wire.pack({}, arrays))[1])
    with np.load(tmp_path / "x.npz") as found:
        assert sorted(found) == ["a", "b"] and all(np.array_equal(found[name], arrays[name]) for name in arrays)
    lines = post(f"{served}api/csv", wire.pack({}, arrays))[1].decode().splitlines()
    assert lines[0] == "array,index,value" and len(lines) == 10
    for name, index, value in (line.split(",") for line in lines[1:]):
        assert np.float32(value) == arrays[name][tuple(map(int, index.split()))]


def test_a_defect_is_an_answer_too(served, monkeypatch, capsys):
    monkeypatch.setitem(routes.CALLS, "pool", lambda page, head, sections: {}.defect)
    assert post(f"{served}api/pool", wire.pack({}, {}))[0] == 500
    assert "AttributeError" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------------------------------
# The command


def started(*arguments, cwd=None):
    process = subprocess.Popen(with_ctrl_c(command("lecture", "--no-browser", *arguments)), cwd=cwd, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = process.stderr.readline()
    return process, re.search(r"http://\S+", said)[0]


def test_the_command_until_ctrl_c(tmp_path):
    about = {"framing": data.digits().framing, "classes": list("abcdefghij")}
    fc.save(nn.models.lenet5(rng=1), tmp_path / "m.npz", about)
    process, address = started("m.npz", "--view", "draw?test=7&centre=0", cwd=tmp_path)
    try:
        assert address.endswith("/?view=draw&test=7&centre=0")
        with urllib.request.urlopen(address.partition("?")[0] + "api/state") as answer:
            about = json.load(answer)
        assert about["trained"] and about["classes"] == list("abcdefghij")
        assert about["source"] == "model = fc.load('m.npz')"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "") and process.returncode == 0
    finally:
        process.kill()
        process.communicate()


def test_the_command_with_images_of_ones_own(tmp_path):
    """Without a model and with one, it is about them, and trains on them as the Code of Train says."""
    rng = np.random.default_rng(0)
    arrays = {f"{part}_images": rng.integers(0, 256, (count, 3, 16, 16), np.uint8)
              for part, count in (("train", 40), ("test", 12))}
    arrays |= {name.replace("images", "labels"): np.arange(len(images)) % 3 for name, images in arrays.items()}
    np.savez(tmp_path / "own.npz", **arrays)
    framing = data.ArrayDataset(arrays["train_images"], arrays["train_labels"]).framing
    about = {"data": "own.npz", "input_shape": [3, 16, 16], "classes": ["0", "1", "2"], "framing": framing}
    fc.save(nn.models.lenet5(3, 3, 16, rng=2), tmp_path / "m.npz", about)
    for arguments in (["--data", "own.npz"], ["m.npz", "--data", "own.npz"], ["m.npz"]):
        process, address = started(*arguments, cwd=tmp_path)
        try:
            with urllib.request.urlopen(f"{address}api/state") as answer:
                about = json.load(answer)
            assert (about["shape"], about["digits"], about["trained"]) == ([3, 16, 16], 12, arguments[0] == "m.npz")
            assert about["labels"] == [k % 3 for k in range(12)] and about["classes"] == ["0", "1", "2"]
            head, found = wire.unpack(post(f"{address}api/forward", wire.pack({"image": "digit:5"}, {}))[1])
            own = arrays["test_images"][5].astype(np.float32) / 255
            assert np.array_equal(found["x"], own)
            made = in_new_process(f"import os\nos.chdir({str(tmp_path)!r})\n{head['code']}\n"
                                  "print(seen.probabilities.tobytes().hex())")
            assert made.splitlines()[-1] == found["probabilities"].tobytes().hex()
            settings = {"epochs": 1, "batch_size": 10}
            post(f"{address}api/train", wire.pack({"action": "set", "settings": settings}, {}))
            for _ in range(4):
                status, body = post(f"{address}api/train", wire.pack({"action": "step"}, {}))
            state = wire.unpack(body)[0]
            assert status == 200 and state["done"]
            weights = post(f"{address}api/weights", wire.pack({}, {}))[1]
            (tmp_path / "page.npz").write_bytes(weights)
            in_new_process(f"import os\nos.chdir({str(tmp_path)!r})\n{state['code']}\n"
                           "found = fc.load_weights('page.npz')\n"
                           "assert all((found[name] == value).all() for name, value in model.state_dict().items())")
        finally:
            process.kill()
            process.communicate()


def test_datasets_are_two_of_one_shape():
    train, test = data.digits(), data.digits("test")
    other = data.ArrayDataset(np.zeros((3, 1, 8, 9), np.float32), [0, 1, 2])
    for datasets, error, message in (
            (train, TypeError, "datasets must be two ArrayDatasets"),
            ((train, other), ValueError, "images of one shape to test on"),
            ((train[:0], test), ValueError, "datasets must have images"),
            ((other, other), ValueError, "datasets must have square images")):
        with pytest.raises(error, match=message):
            fc.lecture(datasets=datasets, browser=False, block=False)
    with pytest.raises(ValueError, match="datasets must have images of 1 x 28 x 28, as the model takes them"):
        fc.lecture(nn.models.lenet5(rng=0), datasets=(other, other), framing={"size": (28, 28), "channels": 1},
                   browser=False, block=False)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_is_there_within_a_second():
    """Of CPU time, which other processes do not take away."""
    process, address = started()
    try:
        with urllib.request.urlopen(address) as answer:
            assert answer.status == 200
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        assert (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") < 1.0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("arguments", "message"), [
    (("--port", "70000"), "--port: must be a whole number from 0 to 65535"),
    (("nothing.npz",), "MODEL nothing.npz"),
    (("--fit", "pad"), "--fit is for a MODEL or --data"),
    (("--size", "28"), "--size is for --data"),
    (("--data", "digits", "--size", "28"), "--size is for folders of image files, got --data digits"),
    (("--data", "missing"), "--data missing"),
])
def test_what_the_command_refuses(cli, arguments, message):
    code, stdout, stderr = cli("lecture", "--no-browser", *arguments)
    assert (code, stdout, stderr.count("\n")) == (2, "", 1) and message in stderr


def test_a_port_that_is_taken(cli, served):
    port = served.split(":")[2].split("/")[0]
    code, _, stderr = cli("lecture", "--no-browser", "--port", port)
    assert code == 2 and f"--port {port} cannot be used" in stderr


def test_the_package_does_not_load_it():
    loaded = in_new_process("""
        import sys, fastconv, fastconv.cli
        fastconv.cli.main(["--version"])
        print([name for name in sys.modules if name.startswith("fastconv.lecture") or name == "http.server"])
        """)
    assert loaded.splitlines()[-1] == "[]"


def test_the_module_is_the_function():
    from fastconv import lecture
    from fastconv.lecture import start

    assert lecture is fc.lecture and lecture.lecture is start.lecture
    with lecture(browser=False, block=False, view="draw") as page:
        assert page.address.endswith("?view=draw")
    page.close()
