"""PyTorch's operators through fastconv: against PyTorch's own kernels, by its gradient checks, and in its machinery."""

import copy
import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import run_python

import fastconv as fc

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402 (what it needs is looked for first)
import torch_calls  # noqa: E402

from fastconv.adapters.torch import conv2d, disable, enable, enabled, report  # noqa: E402

pytestmark = [pytest.mark.adapters, pytest.mark.filterwarnings("default")]

PAGE = Path(__file__).resolve().parents[2] / "docs/adapters/torch.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.S | re.M) if PAGE.exists() else []


@pytest.fixture(autouse=True)
def counts():
    disable()
    report().reset()
    torch.manual_seed(0)
    yield report()
    disable()


def doubles(*shapes):
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("seed", range(8))
def test_random_calls(seed, counts):
    """None that PyTorch takes is handed on; what it refuses is refused in its words."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    refused = 0
    for number in range(250):
        dtype = torch.float64 if rng.random() < 0.5 else torch.float32
        make = torch_calls.random_convolution if rng.random() < 0.6 else torch_calls.random_pooling
        function, tensors = make(rng, dtype)
        try:
            want = torch_calls.results(function, tensors, number)
        except RuntimeError as error:
            refused += 1
            with enabled(), pytest.raises(RuntimeError, match=re.escape(str(error)[:40])):
                torch_calls.results(function, tensors, number)
            continue
        # Of volumes PyTorch keeps the order of memory in some kernels, and not in others.
        ordered = len(tensors) == 1 or tensors[1].dim() == 4
        with enabled():
            torch_calls.assert_alike(torch_calls.results(function, tensors, number), want, ordered)
    assert sum(counts.handed_on.values()) <= refused < 25
    assert len(counts.served) == 10


CONVOLUTIONS = [
    (F.conv1d, (2, 3, 9), (4, 3, 3), {"stride": 2, "padding": 1}),
    (F.conv1d, (2, 4, 9), (4, 2, 3), {"padding": "same", "groups": 2, "dilation": 2}),
    (F.conv2d, (2, 3, 6, 5), (4, 3, 3, 2), {"stride": (2, 1), "padding": (1, 0)}),
    (F.conv2d, (2, 4, 5, 5), (8, 1, 3, 3), {"groups": 4, "padding": 1}),
    (F.conv2d, (3, 5, 5), (4, 3, 2, 2), {"dilation": 2}),
    (F.conv3d, (1, 2, 4, 4, 3), (3, 2, 2, 3, 2), {"stride": 2, "padding": 1}),
    (F.conv_transpose1d, (2, 4, 5), (4, 3, 3), {"stride": 3, "output_padding": 1}),
    (F.conv_transpose2d, (2, 4, 3, 4), (4, 2, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}),
    (F.conv_transpose3d, (1, 2, 2, 3, 2), (2, 3, 2, 2, 2), {"stride": 2}),
]


@pytest.mark.parametrize(("function", "x", "weight", "options"), CONVOLUTIONS)
def test_gradients_and_their_gradients(function, x, weight, options, counts):
    filters = weight[1] * options.get("groups", 1) if "transpose" in function.__name__ else weight[0]
    tensors = doubles(x, weight, (filters,))
    with enabled():
        assert torch.autograd.gradcheck(lambda *given: function(*given, **options), tensors)
        assert torch.autograd.gradgradcheck(lambda *given: function(*given, **options), tensors)
    assert set(counts.served) == {"convolution", "convolution_backward"} and not counts.handed_on


@pytest.mark.parametrize("function", [
    lambda x: F.max_pool2d(x, 2, padding=1), lambda x: F.max_pool2d(x, (3, 2), stride=1, dilation=(1, 2)),
    lambda x: F.avg_pool2d(x, 3, padding=1, ceil_mode=True), lambda x: F.avg_pool2d(x, 2, divisor_override=3),
    lambda x: F.avg_pool1d(x[0], 3, 2), lambda x: F.max_pool1d(x[0], 3, 2, 1),
    lambda x: F.max_pool3d(x, (1, 2, 2)), lambda x: F.avg_pool3d(x, (1, 2, 3), count_include_pad=False)])
def test_gradients_of_pooling(function, counts):
    x = torch.randperm(2 * 3 * 6 * 7).double().reshape(2, 3, 6, 7).requires_grad_()
    with enabled():
        assert torch.autograd.gradcheck(function, (x,))
        assert torch.autograd.gradgradcheck(function, (x,))
    assert counts.served and not counts.handed_on


@pytest.mark.parametrize(("function", "options"), [
    (F.avg_pool3d, {"kernel_size": (5, 3, 1), "padding": (2, 1, 0)}),
    (F.max_pool3d, {"kernel_size": (1, 3, 3), "padding": (0, 2, 0), "dilation": 2})])
def test_volumes_that_pytorch_refuses(function, options, counts):
    """It does so for volumes alone, where fastconv would know an answer."""
    x = torch.ones(1, 2, 4, 4, 7)
    with pytest.raises(RuntimeError) as own:
        function(x, **options)
    with enabled(), pytest.raises(RuntimeError, match=re.escape(str(own.value)[:60])):
        function(x, **options)
    assert len(counts.handed_on) == 1 and not counts.served


def small_network():
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(inplace=True),
        torch.nn.MaxPool2d(2), torch.nn.Conv2d(8, 8, 3, padding=1, groups=2), torch.nn.AvgPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(72, 5))


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_training_takes_the_same_steps(order, counts):
    x, labels = torch.randn(16, 3, 12, 12).to(memory_format=order), torch.randint(5, (16,))
    ways = []
    for through in (False, True):
        torch.manual_seed(1)
        model = small_network().to(memory_format=order)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        losses = []
        if through:
            enable()
        for _ in range(5):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        ways.append(losses)
    np.testing.assert_allclose(*ways, rtol=1e-4)
    assert counts.served["convolution_backward"] == 10 and not counts.handed_on


def test_kernels_are_put_back(counts):
    x, weight = torch.randn(1, 2, 5, 5), torch.randn(3, 2, 3, 3)
    want = F.conv2d(x, weight)
    enable()
    enable()
    F.conv2d(x, weight)
    with enabled() as inner:
        assert inner is counts
    F.conv2d(x, weight)
    disable()
    assert torch.equal(F.conv2d(x, weight), want) and counts.served == {"convolution": 2}
    with pytest.raises(KeyError), enabled():
        raise KeyError
    F.conv2d(x, weight)
    disable()
    assert counts.served == {"convolution": 2}


@pytest.mark.parametrize(("call", "operation", "reason"), [
    (lambda: F.conv2d(torch.ones(1, 1, 4, 4).bfloat16(), torch.ones(1, 1, 2, 2).bfloat16()), "convolution",
     "tensors of bfloat16"),
    (lambda: F.conv2d(torch.ones(1, 1, 4, 4, dtype=torch.int64), torch.ones(1, 1, 2, 2, dtype=torch.int64)),
     "convolution", "tensors of int64"),
    (lambda: F.max_pool2d(torch.ones(1, 4, 4, dtype=torch.int64), 2), "max_pool2d_with_indices", "tensors of int64"),
    (lambda: F.avg_pool2d(torch.ones(0, 1, 4, 4), 2), "avg_pool2d", "a tensor without elements"),
])
def test_what_is_handed_on_is_counted_with_the_reason(call, operation, reason, counts):
    want = call()
    with enabled():
        assert torch.equal(call(), want)
    assert counts.handed_on == {(operation, reason): 1} and not counts.served


@pytest.mark.parametrize("call", [
    lambda: F.conv2d(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 3, 3)),
    lambda: F.conv2d(torch.ones(1, 2, 5, 5), torch.ones(1, 1, 3, 3)),
    lambda: F.conv2d(torch.ones(1, 1, 5, 5), torch.ones(1, 1, 3, 3).double()),
    lambda: F.conv2d(torch.ones(1, 1, 5, 5), torch.ones(1, 1, 3, 3), torch.ones(2)),
    lambda: F.conv2d(torch.ones(1, 1, 5, 5), torch.ones(1, 1, 3, 3), padding=-1),
    lambda: F.max_pool2d(torch.ones(1, 5, 5), 2, padding=2),
    lambda: F.avg_pool2d(torch.ones(1, 5, 5), 0),
    lambda: F.conv_transpose2d(torch.ones(1, 1, 5, 5), torch.ones(1, 1, 3, 3), output_padding=2)])
def test_errors_are_those_of_pytorch(call):
    with pytest.raises(RuntimeError) as own:
        call()
    with enabled(), pytest.raises(RuntimeError, match=re.escape(str(own.value))):
        call()


def test_results_are_tensors_like_any_other():
    with enabled():
        y = F.conv2d(torch.randn(2, 3, 8, 8), torch.randn(4, 3, 3, 3))
    assert y.is_contiguous() and y._base is None and y.add_(1) is y
    assert y.numpy().ctypes.data == y.data_ptr()
    stored = io.BytesIO()
    torch.save(y, stored)
    stored.seek(0)
    assert torch.equal(torch.load(stored), y) and torch.equal(copy.deepcopy(y), y)
    assert y.clone().share_memory_().is_shared()


def test_what_a_gradient_needs_must_not_be_overwritten():
    x, weight = torch.randn(1, 2, 6, 6).requires_grad_(), torch.randn(3, 2, 3, 3, requires_grad=True)
    with enabled():
        inner = x * 1
        y = F.conv2d(inner, weight)
        inner.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


def test_threads_are_those_of_pytorch(monkeypatch):
    from fastconv.adapters.torch import override

    seen = []

    def spy(*arguments):
        seen.append(fc.get_num_threads())
        return torch.zeros(1)

    monkeypatch.setitem(override.OPERATORS, "convolution", (spy, lambda *_: None))
    before = torch.get_num_threads()
    try:
        with enabled():
            for threads in (1, 3):
                torch.set_num_threads(threads)
                torch.convolution(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1), None, [1], [0], [1], False, [0], 1)
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 3]


@pytest.mark.parametrize("change", [
    lambda weight: weight.mul_(2), lambda weight: weight.data.mul_(2),
    lambda weight: np.multiply(weight.numpy(), 2, out=weight.numpy())])
def test_weights_that_are_kept_are_those_of_the_call(change):
    """However they change, and whether or not anything counts that."""
    x, weight = torch.randn(2, 16, 20, 20), torch.randn(16, 16, 3, 3)
    with enabled(), torch.no_grad():
        calls = [F.conv2d(x, weight, padding=1) for _ in range(4)]
        assert all(torch.equal(y, calls[0]) for y in calls)
        change(weight)
        torch.testing.assert_close(F.conv2d(x, weight, padding=1), 2 * calls[0])


def test_weights_that_are_kept_are_bounded(monkeypatch):
    from fastconv.adapters.torch import weights

    monkeypatch.setattr(weights, "MOST_BYTES", 3 * 16 * 16 * 9 * 4)
    keeper = weights.Keeper()
    x = np.ones((1, 16, 20, 20), np.float32)
    filters = [np.full((16, 16, 3, 3), value, np.float32) for value in range(1, 6)]
    options = (1, 1, 1, 1, "constant", 0.0, "NCHW")
    from fastconv.functional.conv import IMAGES
    for _ in range(3):
        for weight in filters:
            want = fc.conv2d(x, weight, padding=1)
            np.testing.assert_array_equal(keeper.convolve(IMAGES, x, weight, None, options), want)
            assert keeper._bytes == sum(size for _, size in keeper._kept.values()) <= weights.MOST_BYTES
    assert len(keeper._kept) == 3
    keeper.forget()
    assert not keeper._kept and keeper._bytes == 0


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_the_operator_passes_pytorchs_checks(order, bias, counts):
    x, weight, added = doubles((2, 4, 7, 6), (6, 2, 3, 3), (6,))
    x = x.detach().to(memory_format=order).requires_grad_()
    options = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}
    given = (x, weight, added) if bias else (x, weight)
    torch.testing.assert_close(conv2d(*given, **options), F.conv2d(*given, **options))
    assert torch.autograd.gradcheck(lambda *args: conv2d(*args, **options), given)
    assert torch.autograd.gradgradcheck(lambda *args: conv2d(*args, **options), given)
    done = torch.library.opcheck(torch.ops.fastconv.conv2d.default,
                                 (x, weight, added if bias else None, [2, 1], [1, 2], [1, 2], 2))
    assert len(done) == 4 and set(done.values()) == {"SUCCESS"}
    assert not counts.served  # PyTorch's own are not exchanged


def test_the_operator_is_compiled_into_graphs():
    x, weight = torch.randn(2, 3, 9, 9, requires_grad=True), torch.randn(4, 3, 3, 3, requires_grad=True)

    def loss(function):
        return function(x.relu(), weight, None, 2, 1).square().sum()

    compiled = torch.compile(lambda: loss(conv2d), backend="aot_eager", fullgraph=True)
    gradients = (torch.autograd.grad(value, (x, weight)) for value in (compiled(), loss(F.conv2d)))
    for got, want in zip(*gradients):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


LOADER = """
import sys
import torch
import fastconv.adapters.torch as adapter

class Filtered(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, i):
        adapter.enable()
        y = torch.nn.functional.conv2d(torch.full((1, 1, 64, 64), float(i)), torch.ones(1, 1, 3, 3))
        assert adapter.report().served["convolution"] > 0
        return y[0, 0, 0, 0]

if __name__ == "__main__":
    adapter.enable()
    torch.nn.functional.conv2d(torch.ones(8, 16, 64, 64), torch.ones(16, 16, 3, 3))    # the threads have begun
    loader = torch.utils.data.DataLoader(Filtered(), 4, num_workers=2, multiprocessing_context=sys.argv[1], timeout=100)
    print(torch.cat(list(loader)).tolist())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_loader(method, tmp_path):
    (tmp_path / "loader.py").write_text(LOADER)
    printed = run_python("-W", "ignore", str(tmp_path / "loader.py"), method)
    assert printed.strip() == str([9.0 * i for i in range(8)])


def test_without_pytorch_the_message_says_what_to_install(monkeypatch):
    for name in [*sys.modules]:
        if name.startswith("fastconv.adapters.torch."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"pip install fastconv\[torch\]"):
        enable()


@pytest.mark.parametrize("block", BLOCKS)
def test_the_page_runs(block):
    run_python("-c", block)


@pytest.mark.skipif(not PAGE.exists(), reason="the source tree is not here")
def test_the_example_runs():
    printed = run_python(str(PAGE.parents[2] / "examples/torch_override.py"), "--steps", "2")
    assert re.search(r"^convolution_backward: \d+ served$", printed, re.M) and "handed on" not in printed
