"""A call of an optimiser or a schedule that fails has changed nothing: no parameter, no state, no setting."""

import copy
import math

import numpy as np
import pytest

from fastconv import nn, optim
from fastconv.optim import adam, sgd

KINDS = {
    "SGD": lambda params: optim.SGD(params, lr=0.1),
    "momentum": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.1),
    "Nesterov": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda params: optim.Adam(params, lr=0.1),
    "AdamW": lambda params: optim.AdamW(params, lr=0.1, weight_decay=0.5),
    "RMSprop": lambda params: optim.RMSprop(params, lr=0.1, momentum=0.9, centered=True),
    "Adagrad": lambda params: optim.Adagrad(params, lr=0.1),
}


def three(dtype=np.float64):
    """Parameters with gradients, of which the last is the one to spoil."""
    params = [nn.Parameter(np.full((4, 5), 1.0 + index, dtype), f"p{index}") for index in range(3)]
    for index, parameter in enumerate(params):
        parameter.grad = np.full((4, 5), 0.5 - index, dtype)
    return params


def snapshot(optimizer):
    return copy.deepcopy((optimizer.state_dict(), [(parameter.data, parameter.grad) for parameter in optimizer.params]))


def same(first, second):
    np.testing.assert_equal(first, second)


def read_only(parameter):
    parameter.data.flags.writeable = False


def unaligned(parameter):
    raw = np.zeros(parameter.data.nbytes + 1, np.uint8)
    parameter.data = raw[1:].view(parameter.data.dtype).reshape(parameter.data.shape)


def put(**values):
    return lambda parameter: [setattr(parameter, name, value) for name, value in values.items()]


SPOILT = {
    "read-only": (read_only, ValueError, "parameter 'p2' must be writable to be updated in place"),
    "strided": (put(data=np.ones((4, 10))[:, ::2]), ValueError, "parameter 'p2' must be C-contiguous"),
    "unaligned": (unaligned, ValueError, "parameter 'p2' must be aligned to its dtype"),
    "a list": (put(data=[1.0]), TypeError, "parameter 'p2' must be an array, got list"),
    "integers": (put(data=np.ones((4, 5), int)), TypeError, "parameter 'p2' must be float32 or float64, got int64"),
    "half": (put(data=np.ones((4, 5), np.float16)), TypeError,
             "parameter 'p2' must be float32 or float64, got float16"),
    "masked": (put(data=np.ma.masked_equal(np.eye(4, 5), 1)), TypeError,
               "parameter 'p2' is a masked array, whose mask would be lost"),
    "masked without a mask": (put(data=np.ma.array(np.eye(4, 5))), TypeError, "parameter 'p2' is a masked array"),
    "masked gradient": (put(grad=np.ma.masked_equal(np.eye(4, 5), 1)), TypeError,
                        "the gradient of parameter 'p2' is a masked array"),
    "masked integers": (put(grad=np.ma.masked_equal(np.eye(4, 5, dtype=int), 1)), TypeError,
                        "gradient of parameter 'p2' is a masked"),
    "gradient of another shape": (put(grad=np.ones((5, 4))), ValueError,
                                  r"gradient of parameter 'p2' must have its shape \(4, 5\), got \(5, 4\)"),
    "gradient that would broadcast": (put(grad=np.ones(())), ValueError,
                                      "gradient of parameter 'p2' must have its shape"),
    "gradient of text": (put(grad=np.full((4, 5), "x")), TypeError,
                         "gradient of parameter 'p2' must be an array of real"),
    "complex gradient": (put(grad=np.ones((4, 5), complex)), TypeError, "gradient of parameter 'p2' .* got complex128"),
    "gradient that is a list": (put(grad=[[1.0] * 5] * 4), TypeError, "gradient of parameter 'p2' .* got list"),
}  # fmt: skip


@pytest.mark.parametrize("steps", [0, 2], ids=["first step", "third step"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", SPOILT)
def test_a_step_that_is_refused_changes_nothing(case, kind, steps):
    spoil, error, message = SPOILT[case]
    params = three()
    optimizer = KINDS[kind](params)
    for _ in range(steps):
        optimizer.step()
    whole = params[2].data, params[2].grad
    spoil(params[2])
    before = snapshot(optimizer)
    with pytest.raises(error, match=message):
        optimizer.step()
    same(snapshot(optimizer), before)
    # Mended, the run goes on as if the failed step had not been.
    params[2].data, params[2].grad = whole
    params[2].data.flags.writeable = True
    other = three()
    reference = KINDS[kind](other)
    for _ in range(steps + 1):
        reference.step()
    optimizer.step()
    same(snapshot(optimizer), snapshot(reference))


@pytest.mark.parametrize("data", [np.ones((5, 4)), np.ones((4, 5), np.float32), np.ones(20)])
@pytest.mark.parametrize("kind", ["momentum", "Nesterov", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_state_that_no_longer_fits_its_parameter_is_refused(kind, data):
    params = three()
    optimizer = KINDS[kind](params)
    optimizer.step()
    params[1].data, params[1].grad = data, np.ones_like(data)
    before = snapshot(optimizer)
    with pytest.raises(ValueError, match="parameter 'p1' is float.* in the optimizer's state is float64 of "
                                         "shape .4, 5.: make a new"):
        optimizer.step()
    same(snapshot(optimizer), before)


@pytest.mark.parametrize("module, kind", [(sgd, "momentum"), (adam, "Adam"), (adam, "AdamW")])
def test_memory_that_runs_out_leaves_no_half_state(module, kind, monkeypatch):
    class Poor:
        """NumPy on a machine with room for three arrays."""

        left = 3

        @classmethod
        def zeros(cls, shape, dtype):
            cls.left -= 1
            if cls.left < 0:
                raise MemoryError
            return np.zeros(shape, dtype)

    params = three() + three()
    optimizer = KINDS[kind](params)
    before = snapshot(optimizer)
    with monkeypatch.context() as patch:
        patch.setattr(module, "np", Poor)
        with pytest.raises(MemoryError):
            optimizer.step()
    same(snapshot(optimizer), before)
    assert optimizer.state == [{}] * 6


def test_new_state_is_complete_and_zero():
    for kind, names in (("SGD", set()), ("momentum", {"velocity"}), ("Adam", {"step", "m", "v"})):
        params = three()
        params[0].grad = None
        optimizer = KINDS[kind](params)
        optimizer.step()
        assert optimizer.state[0] == {} and set(optimizer.state[1]) == names


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_in_the_memory_of_parameters_count_as_before_the_step(kind, dtype):
    params, others = three(dtype), three(dtype)
    params[0].grad, others[0].grad = params[0].data, others[0].data.copy()
    params[2].grad, others[2].grad = params[1].data, others[1].data.copy()  # moved before the gradient is read
    base = np.arange(24, dtype=dtype)
    params[1].data, params[1].grad = base[:20].reshape(4, 5), base[3:23].reshape(4, 5)
    others[1].data, others[1].grad = base[:20].reshape(4, 5).copy(), base[3:23].reshape(4, 5).copy()
    params[2].grad, others[2].grad = params[1].data, others[1].data.copy()
    KINDS[kind](params).step()
    KINDS[kind](others).step()
    for parameter, other in zip(params, others):
        np.testing.assert_array_equal(parameter.data, other.data)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_other_dtypes_and_bytes_are_converted(kind):
    plain, odd = three(np.float32), three(np.float32)
    odd[0].grad = odd[0].grad.astype(np.float64)
    odd[1].grad = odd[1].grad.astype(">f4")
    raw = np.zeros(odd[2].grad.nbytes + 1, np.uint8)
    raw[1:] = np.frombuffer(odd[2].grad.tobytes(), np.uint8)
    odd[2].grad = raw[1:].view(np.float32).reshape(4, 5)
    odd[2].grad.flags.writeable = False
    KINDS[kind](plain).step()
    KINDS[kind](odd).step()
    for parameter, other in zip(plain, odd):
        np.testing.assert_array_equal(parameter.data, other.data)
        assert other.data.dtype == np.float32


def test_a_gradient_that_is_not_a_number_is_data():
    params = three()
    params[0].grad[0, 0] = math.nan
    KINDS["momentum"](params).step()
    assert (np.isnan(params[0].data[0, 0]) and np.isfinite(params[0].data[1:]).all()
            and np.isfinite(params[1].data).all())


# ---------------------------------------------------------------------------------------------------------------------
# Settings


@pytest.mark.parametrize("kind, name, value, error", [
    ("SGD", "lr", "x", TypeError), ("SGD", "lr", math.nan, ValueError), ("SGD", "lr", -1, ValueError),
    ("SGD", "lr", None, TypeError), ("SGD", "lr", True, TypeError), ("SGD", "lr", [0.1], TypeError),
    ("SGD", "momentum", -0.1, ValueError), ("SGD", "dampening", math.inf, ValueError),
    ("SGD", "nesterov", 1, TypeError), ("SGD", "weight_decay", math.inf, ValueError), ("Adam", "betas", 0.9, TypeError),
    ("Adam", "betas", (0.9, 1.0), ValueError), ("Adam", "betas", (0.9, math.nan), ValueError),
    ("AdamW", "eps", -1, ValueError),
])  # fmt: skip
def test_a_setting_is_checked_when_it_is_set_and_when_it_is_loaded(kind, name, value, error):
    optimizer = KINDS[kind](three())
    optimizer.step()
    before = snapshot(optimizer)
    with pytest.raises(error, match=f"^{name} must be"):
        setattr(optimizer, name, value)
    with pytest.raises(error, match=f"^state: {name} must be"):
        optimizer.load_state_dict(optimizer.state_dict() | {name: value})
    same(snapshot(optimizer), before)


def spoilt(value):
    """A buffer with one wrong value."""
    array = np.zeros((4, 5))
    array[2, 3] = value
    return array


ENTRY = {"step": 3, "m": np.zeros((4, 5)), "v": np.zeros((4, 5))}


@pytest.mark.parametrize("state, error, message", [
    ("text", TypeError, "state: state must be a list with an entry for each parameter, got str"),
    ({0: ENTRY}, TypeError, "state: state must be a list .* got dict"),
    ([ENTRY], ValueError, "state must be for 3 parameters, got 1"),
    ([ENTRY] * 4, ValueError, "state must be for 3 parameters, got 4"),
    ([ENTRY, ENTRY, None], TypeError, "state of parameter 2 must map names to arrays, got NoneType"),
    ([ENTRY, ENTRY, [ENTRY]], TypeError, "state of parameter 2 must map names to arrays, got list"),
    ([ENTRY, ENTRY, {"m": ENTRY["m"]}], ValueError,
     r"state of parameter 2 must have \['m', 'step', 'v'\] or nothing, got \['m'\]"),
    ([ENTRY, ENTRY, ENTRY | {"w": 1}], ValueError, "state of parameter 2 must have .* got .*'w'"),
    ([ENTRY, ENTRY, ENTRY | {"step": -1}], ValueError, "state: step of parameter 2 must be at least 0, got -1"),
    ([ENTRY, ENTRY, ENTRY | {"step": 1.5}], TypeError, "state: step of parameter 2 must be an integer"),
    ([ENTRY, ENTRY, ENTRY | {"step": True}], TypeError, "state: step of parameter 2 must be an integer"),
    ([ENTRY, ENTRY, ENTRY | {"v": np.zeros((5, 4))}], ValueError,
     r"state: v of parameter 2 has shape \(5, 4\), must have \(4, 5\)"),
    ([ENTRY, ENTRY, ENTRY | {"v": 0.0}], ValueError, r"state: v of parameter 2 has shape \(\), must have"),
    ([ENTRY, ENTRY, ENTRY | {"v": np.full((4, 5), "x")}], TypeError, "state: v of parameter 2 must be real numbers"),
    *(([ENTRY, ENTRY, ENTRY | {name: spoilt(value)}], ValueError,
       f"state: {name} of parameter 2 must be finite in float64")
      for name in "mv" for value in (math.nan, math.inf, -math.inf)),
    ([ENTRY, ENTRY, ENTRY | {"v": spoilt(-1e-9)}], ValueError,
     "state: v of parameter 2 must be at least 0, got -1e-09"),
    ([ENTRY, ENTRY, ENTRY | {"v": spoilt(-1).astype(int)}], ValueError,
     "state: v of parameter 2 must be at least 0, got -1"),
    ([ENTRY, ENTRY, ENTRY | {"v": np.ma.masked_equal(np.eye(4, 5), 1)}], TypeError,
     "state: v of parameter 2 is a masked array"),
    ([ENTRY, ENTRY, ENTRY | {"v": np.zeros((4, 5), complex)}], TypeError,
     "state: v of parameter 2 must be real numbers"),
])  # fmt: skip
def test_state_that_does_not_fit_is_refused_whole(state, error, message):
    optimizer = KINDS["Adam"](three())
    optimizer.step()
    before = snapshot(optimizer)
    with pytest.raises(error, match=message):
        optimizer.load_state_dict({"lr": 0.7, "betas": [0.5, 0.6], "eps": 1e-3, "weight_decay": 0.1, "state": state})
    same(snapshot(optimizer), before)


@pytest.mark.parametrize("kind", ["momentum", "Nesterov"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e39])
def test_velocity_that_is_not_finite_in_the_dtype_of_its_parameter_is_refused(kind, value):
    optimizer = KINDS[kind](three(np.float32))
    optimizer.step()
    before, state = snapshot(optimizer), snapshot(optimizer)[0]
    state["state"][1] = {"velocity": spoilt(value)}
    with pytest.raises(ValueError, match="state: velocity of parameter 1 must be finite in float32"):
        optimizer.load_state_dict(state)
    same(snapshot(optimizer), before)
    state["state"][1] = {"velocity": spoilt(-5.0)}  # below zero is as good as above
    optimizer.load_state_dict(state)
    assert optimizer.state[1]["velocity"][2, 3] == -5


def test_missing_and_unknown_items_and_settings_that_do_not_go_together():
    optimizer = KINDS["momentum"](three())
    state = optimizer.state_dict()
    for wrong in ({name: value for name, value in state.items() if name != "lr"}, state | {"rate": 1},
                  [state], "lr", None):
        with pytest.raises(ValueError, match="state must be what SGD.state_dict returned"):
            optimizer.load_state_dict(wrong)
    with pytest.raises(ValueError, match="nesterov needs momentum above 0"):
        optimizer.load_state_dict(state | {"nesterov": True, "momentum": 0.0})
    same(optimizer.state_dict(), state)


@pytest.mark.parametrize("values",
                         [{"momentum": 0.0}, {"momentum": 0}, {"dampening": 0.5}, {"momentum": 0.0, "dampening": 0.5}])
def test_nesterov_has_one_rule_for_the_constructor_attributes_state_and_schedules(values):
    message = "nesterov needs momentum above 0 and dampening 0, got"
    optimizer = KINDS["Nesterov"](three())
    optimizer.step()
    before, loose = snapshot(optimizer), KINDS["momentum"](three())
    with pytest.raises(ValueError, match=message):
        optim.SGD(three(), **{"lr": 0.1, "momentum": 0.9} | values, nesterov=True)
    for name, value in values.items():
        with pytest.raises(ValueError, match=message):
            setattr(optimizer, name, value)
        setattr(loose, name, value)  # without nesterov they are free
    with pytest.raises(ValueError, match=message):
        loose.nesterov = True
    assert loose.nesterov is False
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(optimizer.state_dict() | values)
    if "momentum" in values:
        with pytest.raises(ValueError, match=message):
            optim.OneCycleLR(optimizer, 0.1, 10, base_momentum=values["momentum"])
    same(snapshot(optimizer), before)
    # A state whose settings fit together is loaded, though not one by one beside the present ones.
    free = loose.state_dict() | {"state": before[0]["state"]}
    optimizer.load_state_dict(free)
    same(optimizer.state_dict(), free)
    optimizer.load_state_dict(before[0])
    same(optimizer.state_dict(), before[0])


def test_loaded_arrays_are_copies_in_the_dtype_of_their_parameter():
    source, target = KINDS["momentum"](three()), KINDS["momentum"](three(np.float32))
    source.step()
    target.load_state_dict(source.state_dict())
    loaded = [entry["velocity"] for entry in target.state]
    expected = [entry["velocity"].astype(np.float32) for entry in source.state]
    source.step()
    same(loaded, expected)
    assert all(array.dtype == np.float32 for array in loaded)


# ---------------------------------------------------------------------------------------------------------------------
# Schedules

SCHEDULES = {
    "StepLR": lambda optimizer: optim.StepLR(optimizer, 2, 0.5),
    "CosineAnnealingLR": lambda optimizer: optim.CosineAnnealingLR(optimizer, 5),
    "OneCycleLR": lambda optimizer: optim.OneCycleLR(optimizer, 0.5, 4),
}


@pytest.mark.parametrize("kind", ["momentum", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("state, error, message", [
    (None, ValueError, "state must be what .*state_dict returned, .* got NoneType"),
    ({"steps": 1}, ValueError, r"state must be what .*state_dict returned, .* got \['steps'\]"),
    ({"steps": 1, "base_lr": 0.1, "gamma": 1}, ValueError, "state must be what"),
    ({"steps": -1, "base_lr": 0.1}, ValueError, "state: steps must be at least 0, got -1"),
    ({"steps": "1", "base_lr": 0.1}, TypeError, "state: steps must be an integer"),
    ({"steps": 1.0, "base_lr": 0.1}, TypeError, "state: steps must be an integer"),
    ({"steps": 1, "base_lr": "x"}, TypeError, "state: base_lr must be a real number"),
    ({"steps": 1, "base_lr": math.nan}, ValueError, "state: base_lr must be at least 0 and finite"),
    ({"steps": 1, "base_lr": -0.1}, ValueError, "state: base_lr must be at least 0 and finite"),
])  # fmt: skip
def test_the_state_of_a_schedule_is_refused_whole(name, kind, state, error, message):
    optimizer = KINDS[kind](three())
    schedule = SCHEDULES[name](optimizer)
    schedule.step()
    before = snapshot(optimizer), schedule.state_dict()
    with pytest.raises(error, match=message):
        schedule.load_state_dict(state)
    same((snapshot(optimizer), schedule.state_dict()), before)


@pytest.mark.parametrize("kind", ["momentum", "Adam"])
def test_a_step_beyond_the_last_changes_nothing(kind):
    optimizer = KINDS[kind](three())
    schedule = SCHEDULES["OneCycleLR"](optimizer)
    for _ in range(4):
        schedule.step()
    before = snapshot(optimizer), schedule.state_dict()
    with pytest.raises(ValueError, match=r"made for total_steps=4 steps \(batches\), this is one more"):
        schedule.step()
    with pytest.raises(ValueError, match="state: steps must be at most 4, got 5"):
        schedule.load_state_dict({"steps": 5, "base_lr": 0.1})
    same((snapshot(optimizer), schedule.state_dict()), before)


def test_a_step_whose_rate_cannot_be_changes_nothing():
    optimizer = KINDS["SGD"](three())
    schedule = optim.StepLR(optimizer, 1, gamma=1e200)
    schedule.step()
    before = snapshot(optimizer), schedule.state_dict()
    with pytest.raises((ValueError, OverflowError)):
        schedule.step()
    same((snapshot(optimizer), schedule.state_dict()), before)


@pytest.mark.parametrize("make, message", [
    (lambda optimizer: optim.OneCycleLR(optimizer, 0.5, 4, max_momentum=1.5),
     "betas must be at least 0 and less than 1"),
    (lambda optimizer: optim.OneCycleLR(optimizer, 0.5, 4, base_momentum=1.5),
     "betas must be at least 0 and less than 1"),
    (lambda optimizer: optim.StepLR(optimizer, 1, gamma=math.nan), "gamma must be at least 0 and finite"),
    (lambda optimizer: optim.StepLR(optimizer, 1, gamma=-1), "gamma must be at least 0 and finite"),
    (lambda optimizer: optim.CosineAnnealingLR(optimizer, 1, eta_min=math.inf),
     "eta_min must be at least 0 and finite"),
])  # fmt: skip
def test_a_schedule_that_cannot_be_made_leaves_the_optimizer_as_it_is(make, message):
    optimizer = KINDS["Adam"](three())
    before = snapshot(optimizer)
    with pytest.raises(ValueError, match=message):
        make(optimizer)
    same(snapshot(optimizer), before)


@pytest.mark.parametrize("anneal_strategy", ["cos", "linear"])
@pytest.mark.parametrize("total_steps", [1, 2, 3, 4, 5, 10, 11])
@pytest.mark.parametrize("pct_start", [0.0, 0.3, 0.5, 1.0])
def test_one_cycle_of_few_steps(total_steps, pct_start, anneal_strategy):
    """PyTorch's rates, but for a single step: there it divides by zero or takes the last rate, which trains nothing."""
    optimizer = KINDS["momentum"](three())
    schedule = optim.OneCycleLR(optimizer, 0.5, total_steps, pct_start=pct_start, anneal_strategy=anneal_strategy)
    if total_steps == 1:
        assert (optimizer.lr, optimizer.momentum) == (0.5, 0.85)
        schedule.step()
        assert 0 <= optimizer.lr <= 0.5
        return
    torch = pytest.importorskip("torch")
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    try:
        reference = torch.optim.lr_scheduler.OneCycleLR(theirs, 0.5, total_steps, pct_start=pct_start,
                                                        anneal_strategy=anneal_strategy)
        for step in range(total_steps):
            assert optimizer.lr == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-9, abs=1e-15)
            assert optimizer.momentum == pytest.approx(theirs.param_groups[0]["momentum"], rel=1e-12)
            schedule.step()
            theirs.step()
            if step < total_steps - 1:
                reference.step()
    except ZeroDivisionError:
        assert pct_start == 1.0 or pct_start * total_steps == 1
    assert 0 <= optimizer.lr <= 0.5


@pytest.mark.parametrize("total", [1, 2, 3, 7])
def test_step_and_cosine_of_few_steps_agree_with_pytorch(total):
    torch = pytest.importorskip("torch")
    for name, options in (("StepLR", dict(step_size=total)), ("CosineAnnealingLR", dict(T_max=total, eta_min=0.01))):
        optimizer = KINDS["momentum"](three())
        schedule = getattr(optim, name)(optimizer, **options)
        theirs = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
        reference = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
        for _ in range(total + 2):
            assert optimizer.lr == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-9, abs=1e-15)
            schedule.step()
            theirs.step()
            reference.step()
