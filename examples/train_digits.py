"""A convolutional network trained on handwritten digits, with nothing but functions:
each line is a step of the lecture.

    python train_digits.py [--epochs 5] [--learning-rate 0.05] [--seed 0]

Image -> convolution -> ReLU -> pooling -> convolution -> ReLU -> pooling -> flatten -> fully connected -> ReLU -> fully
connected -> log-softmax -> negative log-likelihood. Then the chain rule, backwards through the same steps, and gradient
descent. `fastconv.nn` packs each pair of steps into a layer and `fastconv.Trainer` holds this loop.
"""

import argparse

import numpy as np

import fastconv as fc
from fastconv import data, nn


def initial_parameters(rng):
    """He's initialisation (2015): the variance of a weight is 2 / (number of inputs of its neuron), biases are zero."""
    shapes = {"filters1": (6, 1, 5, 5), "filters2": (16, 6, 5, 5), "dense1": (120, 400), "dense2": (10, 120)}
    weights = {name: nn.init.he_normal(shape, rng=rng) for name, shape in shapes.items()}
    biases = {f"bias_{name}": np.zeros(shape[0], np.float32) for name, shape in shapes.items()}
    return {**weights, **biases}


def forward(images, p):
    """From images (N, 1, 28, 28) to log-probabilities (N, 10), and all that lies between: the chain rule needs it."""
    v = {"images": images}
    v["maps1"] = fc.conv2d(images, p["filters1"], p["bias_filters1"], padding=2)         # (28 + 2*2 - 5) / 1 + 1 = 28
    v["active1"] = fc.relu(v["maps1"])
    v["pooled1"], v["largest1"] = fc.max_pool2d(v["active1"], 2, return_indices=True)    # 14 x 14
    v["maps2"] = fc.conv2d(v["pooled1"], p["filters2"], p["bias_filters2"])              # (14 - 5) / 1 + 1 = 10
    v["active2"] = fc.relu(v["maps2"])
    v["pooled2"], v["largest2"] = fc.max_pool2d(v["active2"], 2, return_indices=True)    # 5 x 5
    v["flat"] = fc.flatten(v["pooled2"])                                                 # 16 * 5 * 5 = 400
    v["hidden"] = fc.linear(v["flat"], p["dense1"], p["bias_dense1"])
    v["active3"] = fc.relu(v["hidden"])
    v["scores"] = fc.linear(v["active3"], p["dense2"], p["bias_dense2"])
    v["log_probs"] = fc.log_softmax(v["scores"])
    return v


def backward(v, labels, p):
    """The gradient of the loss with respect to every parameter: the steps of `forward`, last one first."""
    g = {}
    grad = fc.nll_loss_backward(v["log_probs"], labels)
    grad = fc.log_softmax_backward(grad, v["log_probs"])
    grad, g["dense2"], g["bias_dense2"] = fc.linear_backward(grad, v["active3"], p["dense2"])
    grad = fc.relu_backward(grad, v["hidden"])
    grad, g["dense1"], g["bias_dense1"] = fc.linear_backward(grad, v["flat"], p["dense1"])
    grad = fc.flatten_backward(grad, v["pooled2"].shape)
    grad = fc.max_pool2d_backward(grad, v["largest2"], v["active2"].shape, 2)
    grad = fc.relu_backward(grad, v["maps2"])
    grad, g["filters2"], g["bias_filters2"] = fc.conv2d_backward(grad, v["pooled1"], p["filters2"])
    grad = fc.max_pool2d_backward(grad, v["largest1"], v["active1"].shape, 2)
    grad = fc.relu_backward(grad, v["maps1"])
    _, g["filters1"], g["bias_filters1"] = fc.conv2d_backward(grad, v["images"], p["filters1"], padding=2,
                                                              needs=(False, True, True))
    return g


def accuracy(dataset, p):
    return float(np.mean(forward(dataset.images, p)["log_probs"].argmax(axis=1) == dataset.labels))


def main():
    parser = argparse.ArgumentParser(description="Trains a CNN on the bundled digits, step by step.")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    rng = np.random.default_rng(options.seed)
    train, test = data.digits("train"), data.digits("test")
    parameters = initial_parameters(rng)
    for epoch in range(1, options.epochs + 1):
        losses = []
        for images, labels in data.DataLoader(train, batch_size=32, shuffle=True, seed=options.seed + epoch):
            values = forward(images, parameters)
            losses.append(fc.nll_loss(values["log_probs"], labels))
            for name, gradient in backward(values, labels, parameters).items():
                parameters[name] -= options.learning_rate * gradient
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}, test accuracy {accuracy(test, parameters):.4f}")


if __name__ == "__main__":
    main()
