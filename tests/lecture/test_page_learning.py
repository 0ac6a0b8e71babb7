"""Train, Network and Backward in a real browser: what stands on the page is the library's, and a hover asks nobody."""

import functools
import json

import numpy as np
import pytest
from browser import until as wait_until

import fastconv as fc
from fastconv import data, nn, optim, walk

pytestmark = pytest.mark.page

DIGITS = data.digits("test")
# A step of training is part of what is waited for.
until = functools.partial(wait_until, seconds=30)
READ = "id => Number(document.getElementById(id).dataset.value)"


@pytest.fixture
def served():
    with fc.lecture(browser=False, block=False) as page:
        yield page


@pytest.fixture
def show(browser, served):
    """show("train", "lr=0.1") -> a page with its `requests` and `problems`."""
    contexts = []

    def show(view, query="", **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en", **options})
        contexts.append(context)
        page = context.new_page()
        page.requested, page.problems = [], []
        page.on("request", lambda request: page.requested.append(request.url))
        page.on("console", lambda message: message.type == "error" and page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(f"{error}"))
        page.goto(f"{served.address}?view={view}&{query}")
        until(page, "document.getElementById('said').textContent || document.getElementById('failure').textContent")
        assert page.text_content("#failure") == ""
        return page

    yield show
    for context in contexts:
        for page in context.pages:
            assert page.problems == []
            assert all(url.startswith(served.address) for url in page.requested)
        context.close()


def test_train_runs_to_the_weights_of_the_trainer(show, tmp_path):
    page = show("train", "epochs=1000&batch_size=100&seed=3")
    until(page, "document.querySelector('#run').textContent.includes('Start')")
    page.keyboard.press("r")  # the seed counts from a reset on
    page.click("#step")
    until(page, "document.querySelector('div.state').textContent.includes(' 1 steps')")
    page.locator("main").focus()
    page.keyboard.press("Space")
    until(page, "document.querySelector('#run').textContent.includes('Pause')")
    page.keyboard.press("Space")
    until(page, "document.querySelector('#run').textContent.includes('Go on')")
    done = int(page.text_content("div.state").split()[1])
    field = page.get_by_label("Epochs", exact=True)
    field.fill(f"{done + 1}")
    field.press("Enter")
    until(page, f"document.querySelector('div.state').textContent.includes('of {done + 1} ')")
    page.click("#run")
    until(page, "document.querySelector('#run').disabled", seconds=60)
    until(page, "document.querySelectorAll('.mistake').length === 12")
    model = nn.models.lenet5(rng=0)
    trainer = fc.Trainer(model, optim.SGD(model.parameters(), 0.05, 0.9), nn.NLLLoss())
    history = trainer.fit(data.digits(), done + 1, 100, seed=3, validation=DIGITS, progress=False)
    expected = model.state_dict()
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "weights.npz")
    arrays = fc.load_weights(tmp_path / "weights.npz")
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        assert np.array_equal(array, expected[name]), name
    counts = page.locator(".confusion td").all_text_contents()
    judged = walk.predictions(model, DIGITS.images, DIGITS.labels)
    assert [int(text.replace("·", "0")) for text in counts] == judged.confusion.ravel().tolist()
    assert f"{100 * history.validation_accuracy[-1]:.4g} %" in page.text_content("#said")
    worst = judged.mistakes[0]
    assert page.locator(".mistake").first.text_content() == f"{DIGITS.labels[worst]} → {judged.predictions[worst]}"
    page.locator(".mistake").first.click()
    until(page, f"location.search.includes('view=backward&') || location.search.includes('digit%3A{worst}')")
    page.wait_for_selector("#loss")
    assert np.isclose(page.evaluate(READ, "loss"), judged.losses[worst], rtol=1e-5)


def test_settings_change_while_it_runs(show):
    page = show("train", "epochs=1000")
    page.click("#run")
    field = page.get_by_label("Learning rate")
    field.fill("0.001")
    field.press("Enter")
    until(page, "location.search.includes('lr=0.001')")
    until(page, "async () => (await (await import('./wire.js')).call('train', { action: 'pause' }))"
                ".head.settings.lr === 0.001")
    page.click("#reset")
    until(page, "document.querySelector('div.state').textContent.includes(' 0 steps')")


def test_draw_and_network_can_be_used_while_it_trains(show):
    train = show("train", "epochs=1000")
    train.click("#run")
    until(train, "document.querySelector('#run').textContent.includes('Pause')")
    network = show("network", "image=digit:7")
    assert "layers; taken for" in network.text_content("#said")
    train.click("#run")
    until(train, "document.querySelector('#run').textContent.includes('Go on')")


def test_a_map_opens_slide(show):
    page = show("network", "image=digit:4")
    assert page.locator(".layer").count() == 14
    assert "OH = (14 + 2·0 − 5)/1 + 1 = 10" in page.text_content(".layer:nth-child(5)")
    asked = len(page.requested)
    page.hover(".layer:nth-child(5) .tile >> nth=3")
    assert page.text_content(".pointed").startswith("3: Conv2d[3][")
    assert not any("/api/" in url for url in page.requested[asked:])
    page.click(".layer:nth-child(5) .tile >> nth=3")
    page.wait_for_selector("#sum")
    assert page.evaluate("new URLSearchParams(location.search).get('view')") == "slide"
    assert page.evaluate("['layer', 'k'].map((name) => new URLSearchParams(location.search).get(name))") == ["3", "3"]


@pytest.mark.parametrize("weight", [0, 31, 149])
def test_every_gradient_shown_is_the_librarys(show, weight):
    page = show("backward", f"image=digit:11&label=2&lr=0.1&weight={weight}")
    page.wait_for_selector("#kernel")
    model, image = nn.models.lenet5(rng=0), DIGITS.images[11]
    seen = walk.backward(model, image, 2)
    step = walk.update(model, image[None], [2], 0.1)
    gradient = seen.layers[0].gradients["0.weight"]
    assert np.float32(page.evaluate(READ, "kernel")) == gradient.ravel()[weight]
    assert np.float32(page.evaluate(READ, "after")) == step.after["0.weight"].ravel()[weight]
    assert page.evaluate(READ, "loss") == float(seen.loss)
    assert page.evaluate(READ, "loss-after") == float(step.loss_after)
    shown = page.evaluate("[...document.querySelectorAll('.classes td')].map((cell) => Number(cell.dataset.value))")
    expected = np.stack([seen.forward.probabilities, seen.onehot, seen.error], axis=1).ravel()
    assert np.array_equal(np.float32(shown), expected)
    page.click("#check")
    page.wait_for_selector("#difference")
    place = tuple(int(n) for n in np.unravel_index(weight, gradient.shape))
    difference = walk.finite_difference(model, image, 2, "0.weight", place)
    assert page.evaluate(READ, "difference") == difference.difference


def test_moving_over_a_filters_gradient_asks_nobody(show):
    page = show("backward", "image=digit:2")
    page.wait_for_selector("#kernel")
    canvas = page.locator("#view canvas.over").last
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    asked, seen = len(page.requested), set()
    for step in range(40):
        page.mouse.move(box["x"] + box["width"] * (step + 0.5) / 40, box["y"] + box["height"] * 0.3)
        seen.add(page.text_content(".detail h3 >> nth=0"))
    assert len(seen) > 20 and not any("/api/" in url for url in page.requested[asked:])
    canvas.click()
    before = page.text_content(".detail h3 >> nth=0")
    page.keyboard.press("ArrowRight")
    until(page, f"document.querySelector('.detail h3').textContent !== {json.dumps(before)}")


def test_a_step_of_sgd_and_back(show):
    page = show("backward", "image=digit:2&lr=0.05")
    page.wait_for_selector("#loss")
    first, after = page.evaluate(READ, "loss"), page.evaluate(READ, "loss-after")
    page.keyboard.press("s")
    until(page, f"Number(document.getElementById('loss').dataset.value) !== {first}")
    assert np.isclose(page.evaluate(READ, "loss"), after, rtol=1e-6)
    page.click("#undo")
    until(page, f"Number(document.getElementById('loss').dataset.value) === {first}")


@pytest.mark.parametrize("view", ["network", "backward"])
def test_the_code_gives_the_pages_arrays(show, view, tmp_path):
    page = show(view, "image=digit:5&label=1&steps=1&lr=0.02&weight=7")
    page.wait_for_selector("#view canvas >> nth=3")
    page.get_by_role("button", name="Code").click()
    names = {}
    exec(page.text_content("#code"), names)
    seen = names["seen"]
    with page.expect_download() as download:
        page.keyboard.press("Escape")
        page.get_by_role("button", name="NPZ").click()
    download.value.save_as(tmp_path / "page.npz")
    with np.load(tmp_path / "page.npz") as file:
        arrays = dict(file)
    if view == "network":
        for number, layer in enumerate(seen.layers):
            assert np.array_equal(arrays[f"maps{number}"], layer.output)
    else:
        for number, layer in enumerate(seen.layers):
            assert np.array_equal(arrays[f"grad_output{number}"], layer.grad_output)
        assert np.array_equal(arrays["gradient:0.weight"], seen.layers[0].gradients["0.weight"])
        assert np.array_equal(arrays["after:0.weight"], names["step"].after["0.weight"])
        assert names["back"].tap(0, 0, 1, 2).value == arrays["gradient:0.weight"].ravel()[7]


@pytest.mark.parametrize("view", ["train", "network", "backward"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
@pytest.mark.parametrize(("lang", "scheme"), [("en", "light"), ("ko", "dark")])
def test_nothing_is_cut_off_and_nothing_stands_in_anybodys_way(show, served, view, width, height, lang, scheme):
    served._server.page.training.set(batch_size=1000, epochs=1)
    for _ in range(4):
        served._server.page.training.step()
    page = show(view, f"lang={lang}", viewport={"width": width, "height": height}, color_scheme=scheme)
    page.wait_for_selector({"train": ".mistake"}.get(view, "#view canvas"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.lang") == lang
    untold = page.evaluate(r"(document.body.innerText.match(/\b(train|network|backward|rule)\.[a-z]/g) ?? []).length")
    assert untold == 0
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []
