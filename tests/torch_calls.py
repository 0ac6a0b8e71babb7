"""Random calls of PyTorch's convolutions and poolings, forward and backward, and how far off an answer may be."""

import torch
import torch.nn.functional as F


def randint(rng, low, high):
    return int(rng.integers(low, high + 1))


def random_tensor(rng, shape, dtype, axes):
    """In one of the orders of memory that PyTorch has, or a slice of something larger."""
    form = randint(rng, 0, 5)
    if form == 0:
        return torch.randn([*shape[:-1], 2 * shape[-1]], dtype=dtype)[..., ::2]
    if form == 1 and shape[0]:
        return torch.randn([shape[0] + 1, *shape[1:]], dtype=dtype)[1:]
    tensor = torch.randn(shape, dtype=dtype)
    if form in (2, 3) and len(shape) == axes + 2 and axes > 1:
        return tensor.to(memory_format=torch.channels_last if len(shape) == 4 else torch.channels_last_3d)
    return tensor


def random_convolution(rng, dtype):
    """(function, tensors): a convolution that PyTorch takes."""
    axes, transposed = randint(rng, 1, 3), bool(rng.random() < 0.35)
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    channels, filters = groups * randint(rng, 1, 4), groups * randint(rng, 1, 4)
    kernel = [randint(rng, 1, 5 if axes < 3 else 3) for _ in range(axes)]
    options = {"stride": [randint(rng, 1, 3) for _ in kernel], "dilation": [randint(rng, 1, 2) for _ in kernel],
               "padding": [randint(rng, 0, taps // 2) for taps in kernel], "groups": groups}
    sizes = [step * (taps - 1) + 1 + randint(rng, 0, 7 if axes < 3 else 4)
             for step, taps in zip(options["dilation"], kernel)]
    if transposed:
        options["output_padding"] = [randint(rng, 0, max(by, step) - 1)
                                     for by, step in zip(options["stride"], options["dilation"])]
    function = getattr(F, f"conv_transpose{axes}d" if transposed else f"conv{axes}d")
    batch = [] if rng.random() < 0.1 else [int(rng.choice([0, 1, 2, 3], p=[0.05, 0.35, 0.35, 0.25]))]
    x = random_tensor(rng, [*batch, channels, *sizes], dtype, axes)
    shape = [channels, filters // groups] if transposed else [filters, channels // groups]
    weight = random_tensor(rng, [*shape, *kernel], dtype, axes)
    bias = torch.randn(filters, dtype=dtype) if rng.random() < 0.6 else None
    return (lambda x, weight, bias: function(x, weight, bias, **options)), [x, weight, bias]


def random_pooling(rng, dtype):
    """(function, tensors): a pooling that PyTorch takes."""
    axes, is_max = randint(rng, 1, 3), bool(rng.random() < 0.5)
    kernel = [randint(rng, 1, 4) for _ in range(axes)]
    options = {"stride": [randint(rng, 1, 3) for _ in kernel],
               "padding": [randint(rng, 0, taps // 2) for taps in kernel], "ceil_mode": bool(rng.random() < 0.4)}
    dilation = [1] * axes
    if is_max:
        options["dilation"] = dilation = [randint(rng, 1, 2) for _ in kernel]
        if axes == 1:
            options["return_indices"] = True
    else:
        options["count_include_pad"] = bool(rng.random() < 0.5)
        if axes > 1 and rng.random() < 0.3:
            options["divisor_override"] = randint(rng, 1, 7)
    sizes = [step * (taps - 1) + 1 + randint(rng, 0, 7) for step, taps in zip(dilation, kernel)]
    batch = [] if rng.random() < 0.15 else [randint(rng, 1, 3)]
    x = random_tensor(rng, [*batch, randint(rng, 1, 5), *sizes], dtype, axes)
    if is_max and rng.random() < 0.2:
        x[..., 0] = float("nan")
    function = getattr(F, f"{'max' if is_max else 'avg'}_pool{axes}d")
    if is_max and axes > 1:
        options["return_indices"] = True
    return (lambda x: function(x, kernel_size=kernel, **options)), [x]


def results(function, tensors, grad_seed):
    """What a call returns, and its gradients: as a list of tensors."""
    leaves = [None if tensor is None else tensor.detach().requires_grad_() for tensor in tensors]
    outputs = function(*leaves)
    outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
    generator = torch.Generator().manual_seed(grad_seed)
    grad = torch.randn(outputs[0].shape, dtype=outputs[0].dtype, generator=generator)
    if grad_seed % 4 == 0:  # as that of a sum
        grad = torch.ones((), dtype=grad.dtype).expand(grad.shape)
    wanted = [leaf for leaf in leaves if leaf is not None]
    return [output.detach() for output in outputs] + list(torch.autograd.grad(outputs[0], wanted, grad))


def assert_alike(got, want, ordered):
    """Values within rounding, indices to the bit, shapes; `ordered`: also the order in memory of results and of
    gradients of x."""
    assert len(got) == len(want)
    for number, (ours, own) in enumerate(zip(got, want)):
        assert ours.shape == own.shape and ours.dtype == own.dtype
        # Gradients of weights have the order of the weights here.
        if ordered and own.dim() == 4 and own.numel() and number < 2:
            for order in (torch.contiguous_format, torch.channels_last):
                assert ours.is_contiguous(memory_format=order) == own.is_contiguous(memory_format=order)
        if own.dtype == torch.int64:
            assert torch.equal(ours, own)
        else:
            scale = float(own.abs().nan_to_num(0).max()) if own.numel() else 0.0
            eps = torch.finfo(own.dtype).eps
            torch.testing.assert_close(ours, own, rtol=200 * eps, atol=200 * eps * max(scale, 1), equal_nan=True)
