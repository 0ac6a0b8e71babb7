"""A user's program, strictly typed, for `test_typing.py`: type checkers take every line and reveal what the
comments say. It is not run."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastconv as fc
from fastconv import data, functional as F, nn, optim

x, w, b = np.zeros((2, 3, 8, 8), np.float32), np.zeros((4, 3, 3, 3), np.float32), np.zeros(4, np.float32)
x64, w64 = np.zeros((2, 3, 8, 8)), np.zeros((4, 3, 3, 3))
rows, matrix = np.zeros((2, 3), np.float32), np.zeros((5, 3), np.float32)
labels = np.array([0, 1])

y = fc.conv2d(x, w, b, stride=(2, 1), padding=((1, 0), (0, 1)), data_format="NCHW", activation="relu", algorithm="gemm")
reveal_type(y)  # float32[...]
reveal_type(fc.conv2d(x64, w64, padding="same", padding_mode="replicate"))  # float64[...]
reveal_type(fc.conv2d([[[[1.0]]]], w64))  # Any[...]
reveal_type(fc.conv2d(x, w, out=np.empty((2, 4, 6, 6), np.float32)))  # float32[...]
reveal_type(fc.conv2d_backward(y, x, w))  # tuple[float32[...], float32[...], float32[...]]
reveal_type(fc.conv2d_backward(y, x, w, needs=(True, False, False))[0])  # float32[...] | Any
reveal_type(fc.linear(rows, matrix))  # float32[...]
wide = rows.astype(np.float64), matrix.astype(np.float64)
reveal_type(fc.linear_backward(np.zeros((2, 5)), *wide))  # tuple[float64[...], float64[...], float64[...]]

plan = fc.plan_conv2d((2, 3, 8, 8), w, b, padding=1, activation="leaky_relu")
reveal_type(plan)  # Conv2dPlan[float32]
reveal_type(plan(x))  # float32[...]
reveal_type(plan(x, out=np.empty((2, 4, 8, 8), np.float32)))  # float32[...]
reveal_type(plan.output_shape)  # tuple[int, ...]
reveal_type(plan.algorithm)  # str
reveal_type(fc.plan_conv2d((3, 8, 8), w64)(x64[0]))  # float64[...]
reveal_type(fc.explain((3, 8, 8), (4, 3, 3, 3), dtype=np.float64).to_dict())  # dict[str, Any]
reveal_type(fc.explain(x.shape, w.shape, padding="same").flops)  # int
reveal_type(fc.conv_output_size(28, 5))  # int
reveal_type(fc.conv_output_size((28, 28), (5, 3), padding="same"))  # tuple[int, ...]

reveal_type(fc.max_pool2d(x, 2))  # float32[...]
reveal_type(fc.max_pool2d(x, (2, 2), stride=None, return_indices=True))  # tuple[float32[...], int64[...]]
pooled, indices = fc.max_pool2d(x64, 2, return_indices=True)
reveal_type(fc.max_pool2d_backward(pooled, indices, x64.shape, 2))  # float64[...]
reveal_type(fc.avg_pool2d(x64, 3, padding=1, count_include_pad=False))  # float64[...]
reveal_type(fc.avg_pool2d_backward(x, (2, 3, 16, 16), 2, data_format="NHWC"))  # float32[...]
reveal_type(fc.adaptive_max_pool2d(x, 1))  # float32[...]
reveal_type(fc.adaptive_avg_pool2d(x, (2, 3)))  # float32[...]
reveal_type(fc.global_max_pool2d(x, return_indices=True)[1])  # int64[...]
reveal_type(fc.global_avg_pool2d_backward(x64, x64.shape))  # float64[...]

reveal_type(fc.relu(x))  # float32[...]
reveal_type(fc.relu([1.0, 2.0]))  # Any[...]
reveal_type(fc.leaky_relu(x64, 0.1))  # float64[...]
reveal_type(fc.relu6_backward(x, x))  # float32[...]
reveal_type(fc.add(x64, x64, activation="relu"))  # float64[...]
reveal_type(fc.interpolate(x, scale_factor=(2.0, 1.5), mode="bilinear", align_corners=True))  # float32[...]
reveal_type(fc.interpolate_backward(x64, (2, 3, 8, 8), (16, 16)))  # float64[...]
reveal_type(F.sigmoid_backward(x, x))  # float32[...]
reveal_type(F.tanh(x))  # float32[...]
reveal_type(fc.softmax(x, axis=1))  # float32[...]
reveal_type(fc.log_softmax_backward(x64, x64))  # float64[...]
reveal_type(fc.flatten(x))  # float32[...]
reveal_type(fc.flatten_backward(rows, (2, 3, 1, 1)))  # float32[...]
reveal_type(fc.cross_entropy(rows, labels))  # float32
reveal_type(fc.nll_loss(rows, [0, 1], reduction="none"))  # float32[...]
reveal_type(fc.cross_entropy_backward(rows, labels, label_smoothing=0.1))  # float32[...]


def either(values: NDArray[Any], with_indices: bool) -> NDArray[Any]:
    reveal_type(fc.max_pool2d(values, 2))  # Any[...]
    found = fc.max_pool2d(values, 2, return_indices=with_indices)
    return fc.relu(found[0] if with_indices else found)


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        self.inner = inner

    def forward(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return x + self.inner(x)

    def backward(self, grad_output: NDArray[np.float32], needs_input_grad: bool = True) -> NDArray[np.float32]:
        grad: NDArray[np.float32] | None = self.inner.backward(grad_output)
        assert grad is not None
        return grad_output + grad


model = nn.Sequential(nn.Conv2d(1, 6, 5, padding="same", init="he_normal"), nn.ReLU(), Residual(nn.ReLU()),
                      nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1176, 10, dtype=np.float32), nn.LogSoftmax())
reveal_type(model(x))  # float32[...]
reveal_type(nn.ReLU()(x64))  # float64[...]
reveal_type(nn.ReLU().backward(x64))  # float64[...]
reveal_type(model.predict(x))  # int64[...]
loss = nn.CrossEntropyLoss()
value = float(loss(model(x), labels))
grad = model.backward(loss.backward())


def train(path: Path) -> float:
    fc.set_num_threads(2)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = optim.OneCycleLR(optimizer, 0.1, epochs=1, steps_per_epoch=63, anneal_strategy="linear")
    trainer = fc.Trainer(model, optimizer, loss=nn.NLLLoss(), schedule=schedule)
    with fc.num_threads(1):
        history = trainer.fit(data.digits(), epochs=1, batch_size=64, validation=data.digits("test"),
                              early_stopping=fc.EarlyStopping(monitor="validation_accuracy"))
    fc.save(model, path)
    reveal_type(history.to_dict())  # dict[str, list[Any]]
    return history.train_loss[-1] + trainer.evaluate(data.digits("test"))["accuracy"]
