"""Who may ask the page, and what is answered: without a socket."""

import gzip
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn, walk
from fastconv.data.framing import Framing
from fastconv.lecture import routes, wire
from fastconv.lecture.page import Page
from fastconv.lecture.shown import Shown

STATIC = Path(fc.__file__).parent / "lecture" / "static"
HOST = {"Host": "127.0.0.1:8000"}


@pytest.fixture(scope="module")
def page():
    return Page.of(None, None, None, Framing(), "secret", Shown.of(None, None))


def get(page, name, headers=HOST, method="GET", body=b""):
    return routes.handle(page, method, f"/secret/{name}", headers, body)


def call(page, name, head, sections=()):
    answer = get(page, f"api/{name}", HOST, "POST", wire.pack(head, dict(sections)))
    assert answer.status == 200, answer.body
    return wire.unpack(answer.body)


def refused(page, name, head, sections=()):
    answer = get(page, f"api/{name}", HOST, "POST", wire.pack(head, dict(sections)))
    assert answer.status == 400
    return json.loads(answer.body)["error"]


# ---------------------------------------------------------------------------------------------------------------------
# Who may ask


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.7:8000", "", "localhost@evil:80"])
def test_a_foreign_host_is_refused(page, host):
    """DNS rebinding: a name of somebody else's that leads to this computer."""
    assert get(page, "", {"Host": host}).status == 403
    assert get(page, "api/state", {"Host": host}).status == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1:8000", "http://127.0.0.1:8001", "null"])
def test_a_foreign_origin_is_refused(page, origin):
    answer = get(page, "api/conv", {**HOST, "Origin": origin}, "POST", wire.pack({}, {}))
    assert answer.status == 403


def test_the_page_itself_may_ask(page):
    for host in ("127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000"):
        headers = {"host": host, "origin": f"http://{host}"}
        assert get(page, "api/conv", headers, "POST", wire.pack({}, {})).status == 200


@pytest.mark.parametrize("path", ["/", "/api/state", "/wrong/", "/secre/api/state", "/secret2/", "//secret/", ""])
def test_without_the_secret_nothing_is_answered(page, path):
    assert routes.handle(page, "GET", path, HOST, b"").status == 403


@pytest.mark.parametrize("name", ["../server.py", "..", "views/../../page.py", "%2e%2e/page.py", "views", "views/",
                                  "index.html/..", "/etc/passwd", "api", "api/", "api/nothing", "__init__.py"])
def test_only_the_files_of_the_table_are_there(page, name):
    assert get(page, name).status == 404


def test_a_large_body_is_refused(page):
    assert get(page, "api/conv", HOST, "POST", bytes(9 * 2**20)).status == 413
    assert routes.refusal(page, "POST", "/secret/api/conv", HOST, 9 * 2**20).status == 413


def test_other_methods_are_refused(page):
    assert get(page, "api/conv").status == 405 and get(page, "", HOST, "POST").status == 405
    assert get(page, "main.js", HOST, "DELETE").status == 405


# ---------------------------------------------------------------------------------------------------------------------
# Files


def test_the_table_of_files_is_the_folder(page):
    assert {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()} == set(routes.FILES)
    for name in routes.FILES:
        answer = get(page, name)
        assert answer.status == 200 and answer.body == (STATIC / name).read_bytes()
    assert get(page, "").body == get(page, "index.html?lang=ko").body


def loaded(name):
    """A file and what it imports from its first line on, by name."""
    names = {name}
    for found in re.findall(r'^import .*?"(\.[^"]+)";', (STATIC / name).read_text(), re.MULTILINE | re.DOTALL):
        names |= loaded(os.path.normpath(os.path.join(os.path.dirname(name), found)))
    return names


@pytest.mark.parametrize("view", ["slide", "backward", "network", "draw", "train"])
def test_what_a_browser_loads_is_small(view):
    """80 KB for a view in a language, of files as a person reads them: with its HTML, its CSS, the texts in Korean."""
    names = {"index.html", "style.css", "icon.svg", "i18n/ko.json", *loaded("main.js"), *loaded(f"views/{view}.js")}
    assert len(names) > 8 and sum((STATIC / name).stat().st_size for name in names) <= 80_000


def test_files_are_packed_for_whoever_reads_that(page):
    sizes = []
    for name in routes.FILES:
        answer = get(page, name, {**HOST, "Accept-Encoding": "gzip, br"})
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(answer.body) == (STATIC / name).read_bytes()
        sizes.append(len(answer.body))
    assert sum(sizes) <= 50_000  # all five views in both languages


def test_nothing_comes_from_elsewhere(page):
    for name in routes.FILES:
        text = (STATIC / name).read_text()
        found = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}", text))
        assert found <= {"http://www.w3.org"}, name  # the names of MathML and SVG
    assert get(page, "").headers["Content-Security-Policy"].startswith("default-src 'self';")


def test_both_languages_have_the_same_texts():
    english, korean = (json.loads((STATIC / f"i18n/{lang}.json").read_text()) for lang in ("en", "ko"))
    assert list(english) == list(korean)
    for key, text in english.items():
        holes = [sorted(re.findall(r"\{(\w+)\}", words)) for words in (text, korean[key])]
        assert holes[0] == holes[1] and text.count("\n") == korean[key].count("\n"), key
    assert sum(bool(re.search("[가-힣]", text)) for text in korean.values()) > 0.9 * len(korean)


def test_every_text_that_is_asked_for_is_there():
    known = set(json.loads((STATIC / "i18n/en.json").read_text()))
    asked = set(re.findall(r'data-i18n="([\w.]+)"', (STATIC / "index.html").read_text()))
    for path in STATIC.rglob("*.js"):
        asked |= set(re.findall(r'\bt\("([\w.]+)"', path.read_text()))
    assert len(asked) > 40 and asked <= known


# ---------------------------------------------------------------------------------------------------------------------
# Calls


def test_conv_gives_the_kernels_numbers(page):
    rng = np.random.default_rng(0)
    for name in walk.FILTERS:
        number, stride, padding = int(rng.integers(1000)), int(rng.integers(1, 4)), int(rng.integers(0, 4))
        head, found = call(page, "conv", dict(image=f"digit:{number}", white=255, filter=name, stride=stride,
                                              padding=padding, padding_value=7, bias=0.5, activation="relu"))
        image = np.rint(page.shown.test.images[number] * 255)
        y = fc.conv2d(image, walk.FILTERS[name][None, None], np.float32([0.5]), stride=stride, padding=padding,
                      padding_value=7, activation="relu", algorithm="direct")
        assert np.array_equal(found["output"], y[0]) and head["rows"]["outputs"] == y.shape[1]
        assert head["rows"]["formula"] == walk.output_size(28, 3, stride, padding).formula
        assert found["padded"].shape == (1, 28 + 2 * padding, 28 + 2 * padding)


def test_conv_of_a_picture_and_a_filter_that_are_sent(page):
    rng = np.random.default_rng(1)
    image, weight = rng.random((3, 20, 24), np.float32), rng.standard_normal((3, 2, 5)).astype(np.float32)
    _, found = call(page, "conv", dict(image="upload", filter="own", padding=2, padding_mode="reflect"),
                    dict(image=image, weight=weight))
    y = fc.conv2d(image, weight[None], padding=2, padding_mode="reflect", algorithm="direct")
    assert np.array_equal(found["output"], y[0]) and found["channel_maps"].shape == (3, *y.shape[1:])


@pytest.mark.parametrize("white", [1, 255])
def test_conv_of_a_photo_that_travels_in_bytes(page, white):
    image = np.random.default_rng(2).integers(0, 256, (3, 21, 23)).astype(np.float32) / np.float32(255)
    head = dict(image="upload", filter="blur", white=white, padding=1, padding_value=white)
    (_, one), (_, other) = (call(page, "conv", head, {"image": sent}) for sent in (image, wire.pixels(image, 1)))
    x = np.rint(image * 255) if white == 255 else image
    seen = walk.convolution(x, np.broadcast_to(walk.FILTERS["blur"], (1, 3, 3, 3)), padding=1, padding_value=white)
    for found in (one, other):
        assert found["padded"].tobytes() == seen.padded.tobytes()
        assert found["channel_maps"].tobytes() == seen.channel_maps.tobytes()
        assert found["output"].tobytes() == seen.output.tobytes() and "sums" not in found


def test_sums_come_with_an_activation(page):
    _, found = call(page, "conv", dict(image="digit:3", filter="sobel-x", bias=-0.25, activation="relu"))
    seen = walk.convolution(page.shown.test.images[3], walk.FILTERS["sobel-x"][None, None], np.float32([-0.25]),
                            activation="relu")
    assert np.array_equal(found["sums"], seen.sums[0]) and np.array_equal(found["output"], seen.output[0])


def test_conv_of_a_bundled_photo(page):
    for name in ("still-life", "house"):
        head, found = call(page, "conv", dict(image=f"sample:{name}", filter="emboss"))
        x = data.sample(name)
        y = fc.conv2d(x, np.broadcast_to(walk.FILTERS["emboss"], (1, len(x), 3, 3)), algorithm="direct")
        assert np.array_equal(found["output"], y[0]) and f"data.sample({name!r})" in head["code"]


def test_conv_of_a_learnt_filter(page):
    seen = walk.forward(page.model, page.shown.test.images[5])
    layer = seen.layers[3]
    head, found = call(page, "conv", dict(image="digit:5", layer="3", k=7))
    y = fc.conv2d(layer.input, layer.layer.weight.data[7:8], layer.layer.bias.data[7:8], algorithm="direct")
    assert np.array_equal(found["output"], y[0]) and np.array_equal(found["image"], seen.x)
    assert np.array_equal(found["weight"], layer.layer.weight.data[7]) and not head["picture"]


def test_conv_of_one_group_of_a_layer():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.Conv2d(4, 6, 3, groups=2, stride=2, padding=1, rng=1),
                          nn.Flatten(), nn.Linear(6 * 13 * 13, 3, rng=2))
    page = Page.of(model, None, ["a", "b", "c"], Framing(), "secret", Shown.of(None, None))
    _, found = call(page, "conv", dict(image="digit:5", layer="1", k=4))
    layer = walk.forward(model, page.shown.test.images[5]).layers[1]
    y = fc.conv2d(layer.input, model[1].weight.data, model[1].bias.data, groups=2, stride=2, padding=1)
    assert np.allclose(found["output"], y[4], atol=1e-5)


def test_pool_and_forward(page):
    _, found = call(page, "pool", dict(size=3, kind="max"), dict(x=page.shown.test.images[0]))
    y, indices = fc.max_pool2d(page.shown.test.images[0], 3, return_indices=True)
    assert np.array_equal(found["output"], y) and np.array_equal(found["winners"], indices)
    head, found = call(page, "forward", dict(image="digit:8"))
    assert not head["trained"]
    assert np.array_equal(found["probabilities"], page.model.predict_proba(page.shown.test.images[8:9])[0])
    for number, (_, maps) in enumerate(page.model.feature_maps(page.shown.test.images[8:9])):
        assert np.array_equal(found[f"maps{number}"], maps[0])


@pytest.mark.parametrize(("name", "head", "message"), [
    ("conv", dict(image="digit:1000"), "digit:0 to digit:999"),
    ("conv", dict(image="../x"), "digit:0 to digit:999"),
    ("conv", dict(image="upload"), "section image"),
    ("conv", dict(image="sample:dog"), "still-life"),
    ("conv", dict(filter="blurr"), "filter must be one of"),
    ("conv", dict(filter="own"), "section weight"),
    ("conv", dict(stride=0), "stride"),
    ("conv", dict(stride=1.5), "stride"),
    ("conv", dict(padding=10**6), "padding must leave an image of at most"),
    ("conv", dict(layer="1"), "layer must be one of 0, 3"),
    ("conv", dict(layer="3", k=16), "k must be less than 16"),
    ("conv", dict(white=2), "white must be 1 or 255"),
    ("conv", dict(bias="x"), "bias"),
    ("conv", dict(bias=1e39), "bias must be a finite float32, got 1e+39"),
    ("conv", dict(padding_value=-1e39, padding=1), "padding_value must be a finite float32, got -1e+39"),
    ("conv", dict(layer=[]), "layer must be one of 0, 3, got '[]'"),
    ("conv", dict(image="digit:007"), "digit:0 to digit:999"),
    ("conv", dict(image="digit:\u0663"), "digit:0 to digit:999"),
    ("conv", dict(image="digit:" + "9" * 5000), "digit:0 to digit:999"),
    ("train", dict(action="set", settings=dict(self=1)), "a setting must be one of"),
    ("backward", dict(label=1, lr=1e300), "must be finite"),
    ("pool", {}, "section x"),
    ("forward", dict(image="ink"), "section image"),
])
def test_what_a_call_refuses_it_says(page, name, head, message):
    assert message in refused(page, name, head)


@pytest.mark.parametrize("ink", [2, -1, 3e38])
def test_a_drawing_is_from_0_to_1(page, ink):
    image = np.zeros((1, 28, 28))
    image[0, 3, 4], image[0, 5, 6] = ink, 1
    assert "with numbers from 0 to 1" in refused(page, "forward", dict(image="ink"), dict(image=image))


def test_what_would_take_minutes_is_refused(page):
    ink = dict(image=np.ones((1, 1, 2049)))
    assert "at most 2048 x 2048, got 1 x 2049" in refused(page, "forward", dict(image="ink"), ink)
    x = np.zeros((1, 70, 70))
    assert "size must be at most 31 x 31, got 32 x 32" in refused(page, "pool", dict(size=32, stride=1), dict(x=x))
    wide = dict(size=[2, 2 * 10**8], padding=[0, 10**8], stride=1)
    assert "size must be at most 31 x 31" in refused(page, "pool", wide, dict(x=x))
    assert call(page, "pool", dict(size=31, stride=1), dict(x=x))[1]["output"].shape == (1, 40, 40)


@pytest.mark.parametrize("name", ["file", "allow_pickle", "x" * 257])
def test_names_that_no_file_can_have(page, name):
    assert get(page, "api/npz", HOST, "POST", wire.pack({}, {name: [1.0]})).status == 400


def test_an_empty_drawing_is_no_digit(page):
    assert "all of it is 0" in refused(page, "forward", dict(image="ink"), dict(image=np.zeros((1, 280, 280))))


# ---------------------------------------------------------------------------------------------------------------------
# The page


def test_what_a_page_can_be_about():
    digits, shown = data.digits("test"), Shown.of(None, None)
    model = nn.models.lenet5(rng=3)
    page = Page.of(model, "model = fc.load('m.npz')", digits.classes, Framing.checked(**digits.framing), "s", shown)
    assert page.trained and page.about()["source"] == "model = fc.load('m.npz')"
    colour = Page.of(nn.models.resnet_small(10, 3, rng=0), None, None, Framing.checked(size=(16, 16)), "s", shown)
    assert colour.shape == (3, 16, 16) and colour.classes == [str(k) for k in range(10)]
    assert page.code_of({"image": "digit:3"}, page.blank(), framed=True) == 'image = data.digits("test").images[3]'
    with pytest.raises(ValueError, match=r"images of 1 x 28 x 28, or framing must say"):
        Page.of(nn.models.lenet5(input_size=32), None, None, Framing(), "s", shown)
    with pytest.raises(ValueError, match="classes must be 10 names"):
        Page.of(model, None, ["a"], Framing(), "s", shown)
    with pytest.raises(TypeError, match="model must be a Module"):
        fc.lecture("lenet.npz", browser=False, block=False)
