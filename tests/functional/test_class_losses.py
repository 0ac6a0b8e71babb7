"""Cross-entropy and NLL with weights of classes, ignored labels, positions and distributions; see also test_loss."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import reference
from gradients import numeric_gradient
from processes import in_new_process

import fastconv as fc
from fastconv._core.runtime import isa

DTYPES = [np.float32, np.float64]
REDUCTIONS = ["mean", "sum", "none"]
SHAPES = [(4,), (5, 3), (1, 1), (3, 4, 6), (2, 5, 3, 7), (2, 3, 2, 3, 4), (2, 21, 9, 40), (3, 2, 1), (40, 3, 2),
          (0, 3, 2), (2, 3, 0), (2, 130, 70)]


def class_loss(scores, target, softmax=True, weight=None, ignore_index=-100, label_smoothing=0.0):
    """(the losses, what each counts for, the gradients of each loss) by plain loops, in float64."""
    scores = np.asarray(scores, np.float64)
    rows = np.moveaxis(scores, 1, -1) if scores.ndim > 1 else scores
    log_p = reference.log_softmax(rows) if softmax else rows
    classes = rows.shape[-1]
    weight = np.ones(classes) if weight is None else np.asarray(weight, np.float64)
    losses, counts, grads = np.zeros(rows.shape[:-1]), np.ones(rows.shape[:-1]), np.zeros(rows.shape)
    target = np.asarray(target)
    distributions = np.moveaxis(target, 1, -1) if target.dtype.kind == "f" and target.ndim > 1 else target
    for row in np.ndindex(rows.shape[:-1]):
        if target.dtype.kind == "f":
            wanted = weight * ((1 - label_smoothing) * distributions[row] + label_smoothing / classes)
        elif target[row] == ignore_index:
            counts[row] = 0
            continue
        else:
            counts[row] = weight[target[row]]
            wanted = weight * label_smoothing / classes
            wanted[target[row]] += weight[target[row]] * (1 - label_smoothing)
        losses[row] = -(wanted * log_p[row])[wanted != 0].sum()
        grads[row] = np.exp(log_p[row]) * wanted.sum() - wanted if softmax else -wanted
    return losses, counts, np.moveaxis(grads, -1, 1) if scores.ndim > 1 else grads


def arguments(shape, dtype=np.float64, probabilities=False, seed=0):
    rng = np.random.default_rng(seed)
    scores = (rng.standard_normal(shape) * 3).astype(dtype)
    axis = min(1, len(shape) - 1)
    if probabilities:
        return scores, fc.softmax(rng.standard_normal(shape).astype(dtype), axis)
    return scores, rng.integers(0, shape[axis], np.delete(shape, axis))


def reduced(losses, counts, reduction):
    if reduction == "none":
        return losses, np.ones(losses.shape)
    total = counts.sum() if reduction == "mean" else 1.0
    with np.errstate(all="ignore"):
        return losses.sum() / total, np.full(losses.shape, 1 / total if total else 0.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("probabilities", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_against_the_loops(shape, probabilities, dtype):
    rng = np.random.default_rng(3)
    near = {"rtol": 64 * np.finfo(dtype).eps, "atol": 64 * np.finfo(dtype).eps}
    scores, target = arguments(shape, dtype, probabilities)
    classes = shape[min(1, len(shape) - 1)]
    if not probabilities and target.size > 3:
        target = np.where(rng.random(target.shape) < 0.2, -100, target)
    for reduction, smoothing, weighted in product(REDUCTIONS, (0.0, 0.3), (False, True)):
        weight = (rng.random(classes) + 0.1).astype(dtype) if weighted else None
        options = {"weight": weight, "label_smoothing": smoothing}
        losses, counts, grads = class_loss(scores, target, **options)
        loss, share = reduced(losses, counts, reduction)
        found = fc.cross_entropy(scores, target, reduction=reduction, **options)
        assert found.dtype == dtype and np.shape(found) == np.shape(loss)
        np.testing.assert_allclose(found, loss, **near)
        more = [1.0, -0.5] + ([np.cos(losses).astype(dtype)] if reduction == "none" and losses.ndim else [])
        for grad_output in more:
            factor = np.asarray(grad_output) * share
            factor = np.expand_dims(factor, 1) if scores.ndim > 1 else factor
            grad = fc.cross_entropy_backward(scores, target, reduction=reduction, grad_output=grad_output, **options)
            assert grad.dtype == dtype and grad.shape == shape
            np.testing.assert_allclose(grad, grads * factor, **near)
        if not probabilities and not smoothing:
            log_probs = fc.log_softmax(scores, min(1, len(shape) - 1))
            np.testing.assert_allclose(fc.nll_loss(log_probs, target, weight=weight, reduction=reduction), loss, **near)
            _, _, grads = class_loss(log_probs, target, False, weight)
            factor = np.expand_dims(share, 1) if scores.ndim > 1 else share
            np.testing.assert_allclose(fc.nll_loss_backward(log_probs, target, weight=weight, reduction=reduction),
                                       grads * factor, **near)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("probabilities", [False, True])
@pytest.mark.parametrize("shape", [(3, 5, 4, 6), (2, 7, 130), (2, 3, 40, 50)])
def test_any_strides_and_threads(shape, probabilities, dtype):
    scores, target = arguments(shape, dtype, probabilities)
    weight = np.linspace(0.5, 2, shape[1]).astype(dtype)
    near = {"rtol": 64 * np.finfo(dtype).eps, "atol": 64 * np.finfo(dtype).eps}
    last = tuple(range(2, len(shape)))
    views = [np.asfortranarray, lambda v: v.transpose(0, *last, 1).copy().transpose(0, -1, *range(1, len(last) + 1)),
             lambda v: np.repeat(v, 2, -1)[..., ::2], lambda v: np.pad(v, [(1, 1)] * v.ndim)[(slice(1, -1),) * v.ndim],
             lambda v: v[::-1].copy()[::-1], lambda v: np.repeat(v, 2, 0)[::2]]
    for options in ({}, {"label_smoothing": 0.2}, {"weight": weight, "label_smoothing": 0.2}, {"reduction": "none"}):
        wanted = None
        for threads in (1, 2, 3):
            with fc.num_threads(threads):
                found = (fc.cross_entropy(scores, target, **options),
                         fc.cross_entropy_backward(scores, target, **options))
            wanted = found if wanted is None else wanted
            for a, b in zip(found, wanted):
                np.testing.assert_array_equal(a, b)
        for view in views:
            theirs = view(target) if probabilities else target
            np.testing.assert_allclose(fc.cross_entropy(view(scores), theirs, **options), wanted[0], **near)
            np.testing.assert_allclose(fc.cross_entropy_backward(view(scores), theirs, **options), wanted[1], **near)


def test_many_classes_at_positions_that_are_apart():
    scores, target = arguments((2, 70_000, 3), np.float32)
    view = np.asfortranarray(scores)
    assert fc.cross_entropy(view, target) == pytest.approx(fc.cross_entropy(scores, target), rel=1e-6)
    np.testing.assert_allclose(fc.cross_entropy_backward(view, target), fc.cross_entropy_backward(scores, target),
                               rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 4, 5)])
def test_what_is_ignored_counts_for_nothing(shape):
    scores, target = arguments(shape)
    target[target == 2] = 0
    scores[-1], target[-1] = np.nan, 2
    for options in ({}, {"label_smoothing": 0.1}, {"weight": np.array([1.0, 2.0, 3.0])}):
        loss, grad = (function(scores, target, ignore_index=2, **options)
                      for function in (fc.cross_entropy, fc.cross_entropy_backward))
        np.testing.assert_allclose(loss, fc.cross_entropy(scores[:-1], target[:-1], **options))
        np.testing.assert_array_equal(grad[-1], 0)
        np.testing.assert_allclose(grad[:-1], fc.cross_entropy_backward(scores[:-1], target[:-1], **options))
    losses = fc.cross_entropy(scores, target, ignore_index=2, reduction="none")
    np.testing.assert_array_equal(losses[-1], 0)


@pytest.mark.parametrize("function", [fc.cross_entropy, fc.nll_loss])
def test_the_mean_of_nothing_is_nan_and_its_gradient_is_zero(function):
    backward = getattr(fc, f"{function.__name__}_backward")
    for shape in ((4, 3), (2, 3, 5)):
        scores, target = -np.ones(shape), np.full(np.delete(shape, 1), -100)
        assert np.isnan(function(scores, target)) and function(scores, target, reduction="sum") == 0
        np.testing.assert_array_equal(function(scores, target, reduction="none"), 0)
        np.testing.assert_array_equal(backward(scores, target), 0)


def test_labels_of_small_types_and_a_void_label():
    scores, target = arguments((2, 5, 4, 4), np.float32)
    target[0, 0] = 255
    expected = fc.cross_entropy(scores, target, ignore_index=255)
    for dtype in (np.uint8, np.int32, ">i4"):
        assert fc.cross_entropy(scores, target.astype(dtype), ignore_index=255) == expected
    assert fc.cross_entropy(scores, target.tolist(), ignore_index=255) == expected


def test_infinite_logits_of_classes_that_are_not_wanted():
    logits = np.array([[0.0, -np.inf, 0.0]])
    np.testing.assert_allclose(fc.cross_entropy(logits, np.array([[0.5, 0.0, 0.5]])), np.log(2))
    np.testing.assert_allclose(fc.cross_entropy(logits[..., None], np.array([[[0.5], [0.0], [0.5]]])), np.log(2))


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4)])
@pytest.mark.parametrize("probabilities", [False, True])
def test_gradients_by_finite_differences(shape, probabilities):
    logits, target = arguments(shape, probabilities=probabilities)
    options = {"weight": np.array([0.5, 1.0, 2.0]), "label_smoothing": 0.1}
    np.testing.assert_allclose(fc.cross_entropy_backward(logits, target, **options),
                               numeric_gradient(lambda: fc.cross_entropy(logits, target, **options), logits), rtol=1e-5,
                               atol=1e-8)


def test_out():
    logits, target = arguments((2, 3, 4), np.float32)
    for function in (fc.cross_entropy, fc.nll_loss):
        backward = getattr(fc, f"{function.__name__}_backward")
        room, grad = np.empty((2, 4), np.float32), np.empty_like(logits)
        assert function(logits, target, reduction="none", out=room) is room
        assert backward(logits, target, out=grad) is grad
        np.testing.assert_array_equal(room, function(logits, target, reduction="none"))
        np.testing.assert_array_equal(grad, backward(logits, target))
        with pytest.raises(ValueError, match="out must be left None"):
            function(logits, target, out=np.empty((), np.float32))
        with pytest.raises(ValueError, match="overlap"):
            backward(logits, target, out=logits)


S, T = np.zeros((4, 3), np.float32), np.array([0, 1, 2, 1])
IMAGES, MAPS = np.zeros((2, 3, 4, 4), np.float32), np.zeros((2, 4, 4), int)
BAD = {}
for _function in (fc.cross_entropy, fc.cross_entropy_backward, fc.nll_loss, fc.nll_loss_backward):
    _scores = "logits" if "entropy" in _function.__name__ else "log_probs"
    BAD |= {f"{_function.__name__}: {what}": (error, name, lambda f=_function, call=call: call(f))
            for what, error, name, call in [
                ("weight is too short", ValueError, "weight", lambda f: f(S, T, weight=np.ones(2, np.float32))),
                ("weight is a matrix", ValueError, "weight", lambda f: f(S, T, weight=np.ones((1, 3), np.float32))),
                ("weight is a number", ValueError, "weight", lambda f: f(S, T, weight=np.float32(2))),
                ("weight is float64", TypeError, "weight", lambda f: f(S, T, weight=np.ones(3))),
                ("weight is integer", TypeError, "weight", lambda f: f(S, T, weight=[1, 2, 3])),
                ("ignore_index is None", TypeError, "ignore_index", lambda f: f(S, T, ignore_index=None)),
                ("ignore_index is a float", TypeError, "ignore_index", lambda f: f(S, T, ignore_index=-1.0)),
                ("ignore_index is a bool", TypeError, "ignore_index", lambda f: f(S, T, ignore_index=True)),
                ("ignore_index is huge", ValueError, "ignore_index", lambda f: f(S, T, ignore_index=2**63)),
                ("a label is out of range", ValueError, "target", lambda f: f(S, np.array([0, 1, 3, -100]))),
                ("a label is negative", ValueError, "target", lambda f: f(S, np.array([0, 1, -1, 2]))),
                ("a label is -100 and not ignored", ValueError, "target",
                 lambda f: f(S, np.array([0, 1, -100, 2]), ignore_index=1)),
                ("a label of a map is out of range", ValueError, "target", lambda f: f(IMAGES, MAPS + 3)),
                ("a label of bytes is out of range", ValueError, "target",
                 lambda f: f(IMAGES, (MAPS + 255).astype(np.uint8))),
                ("target has the classes", ValueError, "target", lambda f: f(IMAGES, IMAGES.astype(int))),
                ("target is of another size", ValueError, "target", lambda f: f(IMAGES, MAPS[:, :3])),
                ("target is flat", ValueError, "target", lambda f: f(IMAGES, MAPS.reshape(-1))),
                ("target is float", TypeError, "target", lambda f: f(IMAGES, MAPS.astype(np.float32))),
                ("scores have no class", ValueError, _scores, lambda f: f(IMAGES[:, :0], MAPS)),
                ("scores are a number", ValueError, _scores, lambda f: f(np.float32(1), 0)),
                ("one row has two labels", ValueError, _scores, lambda f: f(S[0], T[:2])),
            ]}
BAD |= {
    "probabilities are float64": (TypeError, "target", lambda: fc.cross_entropy(S, np.full((4, 3), 1 / 3))),
    "probabilities are of another size": (ValueError, "target", lambda: fc.cross_entropy(S, S[:3])),
    "probabilities for nll_loss": (ValueError, "target", lambda: fc.nll_loss(S, S)),
    "grad_output is flat": (ValueError, "grad_output", lambda: fc.cross_entropy_backward(
        IMAGES, MAPS, reduction="none", grad_output=np.ones(32, np.float32))),
    "smoothing is above 1": (ValueError, "label_smoothing", lambda: fc.cross_entropy(IMAGES, MAPS, label_smoothing=2)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case):
    error, name, call = BAD[case]
    with pytest.raises(error, match=f"^{name} "):
        call()


FORCED = """
    import os, sys
    os.environ["FASTCONV_ISA"] = sys.argv[1]
    sys.path[:0] = sys.argv[2:]
    import test_class_losses as t
    import fastconv as fc

    assert fc.show_config("dicts")["isa"]["in_use"] == sys.argv[1]
    for dtype in t.DTYPES:
        for shape in t.SHAPES:
            t.test_against_the_loops(shape, False, dtype)
            t.test_against_the_loops(shape, True, dtype)
"""


@pytest.mark.parametrize("name", isa.known())
def test_every_instruction_set(name):
    if name not in isa.usable():
        pytest.skip(f"{name} is not in this build or this CPU does not have it")
    here = Path(__file__).resolve().parent
    in_new_process(FORCED, name, here, here.parent)


@pytest.mark.parametrize("seed", range(120))
def test_against_torch(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 7, rng.integers(1, 6)).tolist())
    probabilities = bool(rng.integers(2))
    logits, target = arguments(shape, probabilities=probabilities, seed=seed)
    classes = shape[min(1, len(shape) - 1)]
    own = {"reduction": REDUCTIONS[seed % 3], "label_smoothing": rng.choice([0.0, 0.1, 1.0]).item()}
    if rng.integers(2):
        own["weight"] = rng.random(classes) + 0.1
    if not probabilities and rng.integers(2):
        own["ignore_index"] = int(rng.integers(-1, classes))
        target = np.where(rng.random(target.shape) < 0.3, own["ignore_index"], target)
    theirs = {key: torch.tensor(value) if isinstance(value, np.ndarray) else value for key, value in own.items()}
    x = torch.tensor(logits, requires_grad=True)
    value = torch.nn.functional.cross_entropy(x, torch.tensor(target), **theirs)
    value.sum().backward()
    np.testing.assert_allclose(fc.cross_entropy(logits, target, **own), value.detach().numpy(), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(fc.cross_entropy_backward(logits, target, **own), x.grad.numpy(), rtol=1e-10, atol=1e-13)
    if not probabilities:
        del own["label_smoothing"], theirs["label_smoothing"]
        log_probs = fc.log_softmax(logits, min(1, len(shape) - 1))
        x = torch.tensor(log_probs, requires_grad=True)
        value = torch.nn.functional.nll_loss(x, torch.tensor(target), **theirs)
        value.sum().backward()
        np.testing.assert_allclose(fc.nll_loss(log_probs, target, **own), value.detach().numpy(), rtol=1e-12,
                                   atol=1e-14)
        np.testing.assert_allclose(fc.nll_loss_backward(log_probs, target, **own), x.grad.numpy(), rtol=1e-12)
