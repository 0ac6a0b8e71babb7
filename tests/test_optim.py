"""Optimisers against formulas and PyTorch, schedules against PyTorch, state, errors."""

import copy
import math

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn, optim

SHAPES = [(3, 2, 2, 2), (5,), (1,), (4, 7)]

OPTIMIZERS = [
    ("SGD", dict(lr=0.1)),
    ("SGD", dict(lr=0.1, weight_decay=0.01)),
    ("SGD", dict(lr=0.1, momentum=0.9)),
    ("SGD", dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.01)),
    ("SGD", dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)),
    ("Adam", dict(lr=0.01)),
    ("Adam", dict(lr=0.01, betas=(0.8, 0.99), eps=1e-3, weight_decay=0.1)),
    ("AdamW", dict(lr=0.01)),
    ("AdamW", dict(lr=0.01, betas=(0.5, 0.9), eps=1e-6, weight_decay=0.3)),
    ("RMSprop", dict(lr=0.01)),
    ("RMSprop", dict(lr=0.01, alpha=0.9, eps=1e-3, weight_decay=0.1, momentum=0.8)),
    ("RMSprop", dict(lr=0.01, centered=True, eps=1e-2)),
    ("RMSprop", dict(lr=0.01, centered=True, momentum=0.9, eps=1e-2, weight_decay=0.01)),
    ("Adagrad", dict(lr=0.1)),
    ("Adagrad", dict(lr=0.1, lr_decay=0.1, weight_decay=0.05, initial_accumulator_value=0.2, eps=1e-4)),
]
IDS = [f"{name}-{'-'.join(options)}" for name, options in OPTIMIZERS]


def parameters(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [nn.Parameter(rng.standard_normal(shape).astype(dtype), f"p{index}") for index, shape in enumerate(SHAPES)]


def gradients(step, dtype=np.float64):
    rng = np.random.default_rng(1000 + step)
    return [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]


def run(optimizer, steps, start=0):
    for step in range(start, start + steps):
        optimizer.zero_grad()
        for parameter, grad in zip(optimizer.params, gradients(step, optimizer.params[0].data.dtype)):
            parameter.add_grad(grad)
        optimizer.step()


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 2e-5)], ids=["float64", "float32"])
@pytest.mark.parametrize("name, options", OPTIMIZERS, ids=IDS)
def test_many_steps_agree_with_pytorch(name, options, dtype, tolerance):
    torch = pytest.importorskip("torch")
    params = parameters(dtype)
    theirs = [torch.nn.Parameter(torch.from_numpy(parameter.data.copy())) for parameter in params]
    ours, reference = getattr(optim, name)(params, **options), getattr(torch.optim, name)(theirs, **options)
    for step in range(100):
        run(ours, 1, step)
        for parameter, grad in zip(theirs, gradients(step, dtype)):
            parameter.grad = torch.from_numpy(grad)
        reference.step()
        if step in (0, 1, 99):
            for parameter, other in zip(params, theirs):
                np.testing.assert_allclose(parameter.data, other.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_sgd_by_hand():
    p = nn.Parameter(np.array([1.0]))
    optimizer = optim.SGD([p], lr=0.5, momentum=0.5, weight_decay=1.0, nesterov=True)
    p.grad = np.array([1.0])
    optimizer.step()  # g = 1 + 1, v = g, along g + v / 2 = 3
    np.testing.assert_allclose(p.data, [-0.5])
    optimizer.step()  # g = 1 - 0.5, v = 0.5 * 2 + g = 1.5, along g + v / 2 = 1.25
    np.testing.assert_allclose(p.data, [-1.125])


def test_dampening_spares_the_first_step():
    p = nn.Parameter(np.array([0.0]))
    optimizer = optim.SGD([p], lr=1.0, momentum=0.5, dampening=0.75)
    p.grad = np.array([4.0])
    optimizer.step()
    np.testing.assert_allclose(p.data, [-4.0])
    optimizer.step()  # v = 0.5 * 4 + 0.25 * 4 = 3
    np.testing.assert_allclose(p.data, [-7.0])


def test_adam_by_hand():
    p = nn.Parameter(np.array([1.0]))
    optimizer = optim.Adam([p], lr=0.1, betas=(0.5, 0.75), eps=0.0)
    p.grad = np.array([2.0])
    optimizer.step()  # m / (1 - 0.5) = 2, v / (1 - 0.75) = 4: a step of exactly lr
    np.testing.assert_allclose(p.data, [0.9])
    p.grad = np.array([-4.0])
    optimizer.step()  # m = 0.5 - 2 = -1.5 of 0.75, v = 0.75 + 4 = 4.75 of 0.4375
    np.testing.assert_allclose(p.data, [0.9 + 0.1 * (1.5 / 0.75) / math.sqrt(4.75 / 0.4375)])


def test_rmsprop_and_adagrad_by_hand():
    p, q = nn.Parameter(np.array([1.0])), nn.Parameter(np.array([1.0]))
    rmsprop = optim.RMSprop([p], lr=0.1, alpha=0.75, eps=0.0)
    adagrad = optim.Adagrad([q], lr=0.1, lr_decay=1.0, eps=0.0)
    p.grad = q.grad = np.array([2.0])
    rmsprop.step()  # v = 0.25 * 4, along 2 / 1
    adagrad.step()  # along 2 / 2
    np.testing.assert_allclose([p.data[0], q.data[0]], [0.8, 0.9])
    rmsprop.step()  # v = 0.75 + 1
    adagrad.step()  # the sum is 8, the rate 0.05
    np.testing.assert_allclose([p.data[0], q.data[0]], [0.8 - 0.2 / math.sqrt(1.75), 0.9 - 0.1 / math.sqrt(8)])


def test_centred_rmsprop_of_a_constant_gradient_has_no_negative_variance():
    p = nn.Parameter(np.zeros(1000, np.float32))
    p.grad = np.linspace(0.1, 3, 1000, dtype=np.float32)
    optimizer = optim.RMSprop([p], lr=1e-3, alpha=0.5, centered=True)
    for _ in range(100):
        optimizer.step()
    assert np.isfinite(p.data).all()


def test_settings_of_rmsprop_that_are_changed_between_steps():
    params = parameters()
    optimizer = optim.RMSprop(params, lr=0.01)
    run(optimizer, 2)
    assert set(optimizer.state[0]) == {"v"}
    optimizer.momentum, optimizer.centered = 0.9, True
    run(optimizer, 2, 2)
    assert set(optimizer.state[0]) == {"v", "m", "velocity"}
    optimizer.momentum, optimizer.centered = 0.0, False
    run(optimizer, 2, 4)
    optim.RMSprop(parameters()).load_state_dict(optimizer.state_dict())


def test_adamw_decays_the_parameter_not_the_gradient():
    p = nn.Parameter(np.array([10.0]))
    optimizer = optim.AdamW([p], lr=0.1, weight_decay=0.5)
    p.grad = np.array([0.0])
    optimizer.step()
    np.testing.assert_allclose(p.data, [10.0 * (1 - 0.1 * 0.5)])


@pytest.mark.parametrize("name, options", OPTIMIZERS, ids=IDS)
def test_state_continues_with_the_same_bits(name, options):
    params = parameters(np.float32)
    optimizer = getattr(optim, name)(params, **options)
    run(optimizer, 3)
    state = copy.deepcopy(optimizer.state_dict())
    others = [nn.Parameter(parameter.data.copy()) for parameter in params]
    continued = getattr(optim, name)(others, lr=0.7)
    continued.load_state_dict(state)
    run(optimizer, 3, 3)
    run(continued, 3, 3)
    for parameter, other in zip(params, others):
        np.testing.assert_array_equal(parameter.data, other.data)
    assert repr(continued) == repr(optimizer)


def test_parameters_are_updated_in_place_and_keep_their_dtype():
    for dtype in (np.float32, np.float64):
        for name, options in OPTIMIZERS:
            params = parameters(dtype)
            arrays = [parameter.data for parameter in params]
            before = [array.copy() for array in arrays]
            run(getattr(optim, name)(params, **options), 2)
            for parameter, array, old in zip(params, arrays, before):
                assert parameter.data is array and array.dtype == dtype
                assert not np.array_equal(array, old)


@pytest.mark.parametrize("name, options", OPTIMIZERS, ids=IDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_parameters_in_one_pass_are_the_same_bits_as_each_alone_with_any_number_of_threads(name, options, dtype):
    """Sizes around the chunks of 4096 elements, and none at all; every third parameter is of the other precision."""
    sizes = [1, 0, 4095, 4096, 4097, 3, 0, 20_000, 5]
    rng = np.random.default_rng(0)
    other = np.float64 if dtype == np.float32 else np.float32
    arrays = [rng.standard_normal((2, size)).astype(other if index % 3 == 2 else dtype)
              for index, size in enumerate(sizes)]
    alone = [nn.Parameter(array[0].copy()) for array in arrays]
    optimizers = [getattr(optim, name)([parameter], **options) for parameter in alone]
    for _ in range(3):
        for parameter, array, optimizer in zip(alone, arrays, optimizers):
            parameter.grad = array[1]
            optimizer.step()
    for threads in (1, 2, 3):
        together = [nn.Parameter(array[0].copy()) for array in arrays]
        optimizer = getattr(optim, name)(together, **options)
        with fc.num_threads(threads):
            for _ in range(3):
                for parameter, array in zip(together, arrays):
                    parameter.grad = array[1]
                optimizer.step()
        for parameter, wanted in zip(together, alone):
            np.testing.assert_array_equal(parameter.data, wanted.data)


def test_parameters_that_share_memory_move_one_after_the_other():
    array, grads = np.zeros(50_000), [np.ones(50_000), np.ones(30_000)]
    params = [nn.Parameter(array), nn.Parameter(array[10_000:40_000])]
    for parameter, grad in zip(params, grads):
        parameter.grad = grad
    with fc.num_threads(3):
        optim.SGD(params, lr=1.0).step()
    np.testing.assert_array_equal(array, np.where((np.arange(50_000) >= 10_000) & (np.arange(50_000) < 40_000), -2, -1))


def test_a_parameter_without_gradient_stays():
    params = parameters()
    optimizer = optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.1)
    before = params[1].data.copy()
    params[0].add_grad(np.ones(SHAPES[0]))
    optimizer.step()
    np.testing.assert_array_equal(params[1].data, before)
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in params)


def test_gradients_of_any_layout_are_taken():
    params = [nn.Parameter(np.zeros((3, 4))) for _ in range(2)]
    grad = np.arange(12.0).reshape(4, 3).T
    params[0].grad, params[1].grad = grad, np.ascontiguousarray(grad)
    optim.Adam(params).step()
    np.testing.assert_array_equal(params[0].data, params[1].data)


SCHEDULES = [
    ("StepLR", dict(step_size=3, gamma=0.5), 12),
    ("CosineAnnealingLR", dict(T_max=10), 10),
    ("CosineAnnealingLR", dict(T_max=4, eta_min=0.01), 10),
    ("OneCycleLR", dict(max_lr=0.5, total_steps=20), 20),
    ("OneCycleLR", dict(max_lr=0.5, epochs=3, steps_per_epoch=7, pct_start=0.4, anneal_strategy="linear"), 21),
    ("OneCycleLR", dict(max_lr=0.5, total_steps=9, cycle_momentum=False, div_factor=3, final_div_factor=7), 9),
    ("OneCycleLR", dict(max_lr=0.5, total_steps=15, base_momentum=0.6, max_momentum=0.8, pct_start=0.0), 14),
]


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name, options, steps", SCHEDULES, ids=[case[0] for case in SCHEDULES])
def test_schedules_agree_with_pytorch(name, options, steps, kind):
    torch = pytest.importorskip("torch")
    momentum = dict(momentum=0.9) if kind == "SGD" else {}
    ours = getattr(optim, kind)(parameters(), lr=0.2, **momentum)
    theirs = getattr(torch.optim, kind)([torch.nn.Parameter(torch.zeros(1))], lr=0.2, **momentum)
    schedule = getattr(optim, name)(ours, **options)
    reference = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
    for _ in range(steps):
        group = theirs.param_groups[0]
        assert ours.lr == pytest.approx(group["lr"], rel=1e-9, abs=1e-15)
        assert ours.lr == schedule.lr_at(schedule.steps)
        if kind == "SGD":
            assert ours.momentum == pytest.approx(group["momentum"], rel=1e-12)
        else:
            assert ours.betas == pytest.approx(group["betas"], rel=1e-12)
        theirs.step()
        schedule.step()
        reference.step()


@pytest.mark.parametrize("name, options, steps", SCHEDULES, ids=[case[0] for case in SCHEDULES])
def test_schedule_state_continues(name, options, steps):
    first = optim.SGD(parameters(), lr=0.2, momentum=0.9)
    second = optim.SGD(parameters(), lr=0.7, momentum=0.9)
    schedule, continued = getattr(optim, name)(first, **options), getattr(optim, name)(second, **options)
    for _ in range(5):
        schedule.step()
    continued.load_state_dict(schedule.state_dict())
    assert (second.lr, second.momentum) == (first.lr, first.momentum)
    schedule.step()
    continued.step()
    assert (second.lr, second.momentum) == (first.lr, first.momentum)


def test_one_cycle_ends():
    schedule = optim.OneCycleLR(optim.SGD(parameters(), lr=0.1), max_lr=1.0, total_steps=4)
    for _ in range(4):
        schedule.step()
    with pytest.raises(ValueError, match="made for total_steps=4 steps"):
        schedule.step()


def sgd():
    return optim.SGD(parameters(), lr=0.1, momentum=0.9)


class Plain(optim.Optimizer):
    pass


@pytest.mark.parametrize("call, error, message", [
    (lambda: optim.SGD([], lr=0.1), ValueError, "params must hold at least one parameter"),
    (lambda: optim.SGD(nn.Linear(1, 1), lr=0.1), TypeError, "params must be a list of parameters"),
    (lambda: optim.SGD([np.zeros(3, int).tolist()], lr=0.1), TypeError, "params must be parameters, .* got list"),
    (lambda: optim.SGD(parameters()[:1] * 2, lr=0.1), ValueError, "params must be different parameters"),
    (lambda: optim.SGD(parameters(), lr=-0.1), ValueError, "lr must be at least 0 and finite, got -0.1"),
    (lambda: optim.SGD(parameters(), lr=float("nan")), ValueError, "lr must be at least 0 and finite"),
    (lambda: optim.SGD(parameters(), lr=None), TypeError, "lr must be a real number"),
    (lambda: optim.SGD(parameters(), lr=True), TypeError, "lr must be a real number"),
    (lambda: optim.SGD(parameters(), lr=1, momentum=-1), ValueError, "momentum must be at least 0"),
    (lambda: optim.SGD(parameters(), lr=1, dampening="x"), TypeError, "dampening must be a real number"),
    (lambda: optim.SGD(parameters(), lr=1, weight_decay=float("inf")), ValueError, "weight_decay must be at least 0"),
    (lambda: optim.SGD(parameters(), lr=1, nesterov=1), TypeError, "nesterov must be True or False"),
    (lambda: optim.SGD(parameters(), lr=1, nesterov=True), ValueError, "nesterov needs momentum above 0"),
    (lambda: optim.Adam(parameters(), betas=0.9), TypeError, "betas must be two numbers"),
    (lambda: optim.Adam(parameters(), betas=(0.9, 1.0)), ValueError, "betas must be at least 0 and less than 1"),
    (lambda: optim.Adam(parameters(), eps=-1), ValueError, "eps must be at least 0"),
    (lambda: optim.AdamW(parameters(), weight_decay=-1), ValueError, "weight_decay must be at least 0"),
    (lambda: optim.RMSprop(parameters(), alpha=1.0), ValueError, "alpha must be at least 0 and less than 1"),
    (lambda: optim.RMSprop(parameters(), alpha=None), TypeError, "alpha must be a real number"),
    (lambda: optim.RMSprop(parameters(), eps=-1), ValueError, "eps must be at least 0"),
    (lambda: optim.RMSprop(parameters(), momentum=-1), ValueError, "momentum must be at least 0"),
    (lambda: optim.RMSprop(parameters(), centered=1), TypeError, "centered must be True or False"),
    (lambda: optim.Adagrad(parameters(), lr_decay=-1), ValueError, "lr_decay must be at least 0"),
    (lambda: optim.Adagrad(parameters(), initial_accumulator_value=-1), ValueError, "initial_accumulator_value must"),
    (lambda: optim.Adagrad(parameters(), eps="x"), TypeError, "eps must be a real number"),
    (lambda: optim.RMSprop(parameters()).load_state_dict(optim.Adagrad(parameters()).state_dict()), ValueError,
     "state must be what RMSprop.state_dict returned"),
    (lambda: optim.RMSprop(parameters()).load_state_dict(optim.RMSprop(parameters()).state_dict() | {
        "state": [{"m": np.zeros(SHAPES[0])}] * 4}), ValueError, "state of parameter 0 must have"),
    (lambda: optim.StepLR(None, 1), TypeError, "optimizer must be a fastconv.optim optimizer, got NoneType"),
    (lambda: optim.StepLR(sgd(), 0), ValueError, "step_size must be at least 1"),
    (lambda: optim.StepLR(sgd(), 1, gamma="x"), TypeError, "gamma must be a real number"),
    (lambda: optim.CosineAnnealingLR(sgd(), 2.5), TypeError, "T_max must be an integer"),
    (lambda: optim.CosineAnnealingLR(sgd(), 2, eta_min=-1), ValueError, "eta_min must be at least 0"),
    (lambda: optim.OneCycleLR(sgd(), 1.0), ValueError, "total_steps, or both epochs and steps_per_epoch"),
    (lambda: optim.OneCycleLR(sgd(), 1.0, epochs=0, steps_per_epoch=1), ValueError, "epochs must be at least 1"),
    (lambda: optim.OneCycleLR(sgd(), -1.0, 10), ValueError, "max_lr must be at least 0"),
    (lambda: optim.OneCycleLR(sgd(), 1.0, 10, pct_start=1.5), ValueError, "pct_start must be from 0 to 1, got 1.5"),
    (lambda: optim.OneCycleLR(sgd(), 1.0, 10, anneal_strategy="exp"), ValueError,
     "anneal_strategy must be one of 'cos'"),
    (lambda: optim.OneCycleLR(sgd(), 1.0, 10, div_factor=0), ValueError, "div_factor must be above 0"),
    (lambda: optim.OneCycleLR(sgd(), 1.0, 10, final_div_factor=-1), ValueError, "final_div_factor must be at least 0"),
    (lambda: optim.OneCycleLR(sgd(), 1.0, 10, cycle_momentum=1), TypeError, "cycle_momentum must be True or False"),
    (lambda: optim.OneCycleLR(Plain(parameters(), 1, 0), 1.0, 10), ValueError,
     "cycle_momentum needs an optimizer with momentum"),
    (lambda: optim.StepLR(sgd(), 1).load_state_dict({"steps": 1}), ValueError,
     "state must be what StepLR.state_dict returned"),
    (lambda: sgd().load_state_dict(optim.Adam(parameters()).state_dict()), ValueError,
     "state must be what SGD.state_dict returned"),
    (lambda: sgd().load_state_dict(None), ValueError, "state must be what SGD.state_dict returned, .* got NoneType"),
    (lambda: sgd().load_state_dict(sgd().state_dict() | {"state": []}), ValueError,
     "state must be for 4 parameters, got 0"),
    (lambda: sgd().load_state_dict(sgd().state_dict() | {"state": [{"velocity": np.zeros(3)}] * 4}), ValueError,
     r"velocity of parameter 0 has shape \(3,\), must have \(3, 2, 2, 2\)"),
])  # fmt: skip
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_gradient_of_another_shape_is_refused():
    params = parameters()
    params[1].grad = np.ones(3)
    with pytest.raises(ValueError, match=r"gradient of parameter 'p1' must have its shape \(5,\), got \(3,\)"):
        optim.SGD(params, lr=0.1).step()


def test_a_parameter_that_is_no_longer_contiguous_is_refused():
    p = nn.Parameter(np.zeros((2, 3)), "w")
    p.data, p.grad = p.data.T, np.ones((3, 2))
    with pytest.raises(ValueError, match="parameter 'w' must be C-contiguous"):
        optim.Adam([p]).step()
