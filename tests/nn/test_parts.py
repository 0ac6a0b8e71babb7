"""What does not belong together is refused by name when the trainer is made."""

import warnings

import numpy as np
import pytest

from fastconv import nn, optim
from fastconv.training import Trainer

X = np.random.default_rng(0).standard_normal((6, 1, 2, 2)).astype(np.float32)
LABELS = np.arange(6) % 3


def model(*last):
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3, rng=0), *last)


def trainer(subject, loss, params=None):
    return Trainer(subject, optim.SGD(params or subject.parameters(), lr=0.1), loss)


def test_the_optimizer_of_another_model():
    a, b = model(), model()
    with pytest.raises(ValueError, match=r"optim.SGD\(model.parameters\(\), lr=0.1\).*: "
                                         r"2 of its 2 parameters are not in the model: 1.weight of shape \(3, 4\), "
                                         r"1.bias of shape \(3,\)"):
        trainer(a, nn.CrossEntropyLoss(), b.parameters())
    with pytest.raises(ValueError, match="2 of its 4 parameters"):
        trainer(a, nn.CrossEntropyLoss(), a.parameters() + b.parameters())
    with pytest.raises(ValueError, match="1 of its 1 parameters are not in the model: one without a name"):
        trainer(a, nn.CrossEntropyLoss(), [nn.Parameter([1.0])])


def test_a_parameter_that_was_replaced_after_the_optimizer_was_made():
    subject = model()
    optimizer = optim.SGD(subject.parameters(), lr=0.1)
    subject[1].bias = nn.Parameter(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="1 of its 2 parameters are not in the model: 1.bias"):
        Trainer(subject, optimizer, nn.CrossEntropyLoss())


@pytest.mark.parametrize("replace", [
    lambda subject: subject.layers.update({"1": nn.Linear(4, 3)}),
    lambda subject: setattr(subject[1], "weight", nn.Parameter(np.zeros((3, 4), np.float32))),
    lambda subject: setattr(subject[1], "bias", None),
])  # fmt: skip
def test_a_layer_that_was_replaced_after_the_trainer_was_made(replace):
    """What the optimizer moves would have no part in the model."""
    subject = model()
    made = trainer(subject, nn.CrossEntropyLoss())
    made.fit((X, LABELS), 1, progress=False)
    replace(subject)
    with pytest.raises(ValueError, match=r"optimizer must be of .* made after the model is complete: \d of its 2 "):
        made.fit((X, LABELS), 1, progress=False)
    subject = model()
    made = trainer(subject, nn.CrossEntropyLoss())
    made.loss = nn.NLLLoss()
    with pytest.raises(ValueError, match="takes log-probabilities"):
        made.fit((X, LABELS), 1, progress=False)


def test_some_parameters_and_those_of_the_loss_are_fine():
    class Scaled(nn.CrossEntropyLoss):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter([1.0])

    class Whole(Scaled):
        def parameters(self):
            return [self.scale]

    subject = model()
    trainer(subject, nn.CrossEntropyLoss(), [subject[1].bias]).fit((X, LABELS), 1, progress=False)
    for loss in (Scaled(), Whole()):
        trainer(subject, loss, [*subject.parameters(), loss.scale])
        with pytest.raises(ValueError, match="1 of its 1 parameters are not in the model"):
            trainer(subject, loss, [loss.scale])


@pytest.mark.parametrize("last, wrong", [
    ([], "returns logits: write nn.LogSoftmax.. behind the last layer, or loss=nn.CrossEntropyLoss"),
    ([nn.ReLU()], "returns logits"),
    ([nn.Flatten()], "returns logits"),
    ([nn.Softmax()], "returns probabilities: write nn.LogSoftmax.. in place of nn.Softmax"),
    ([nn.Softmax(), nn.Flatten()], "returns probabilities"),
    ([nn.Sequential(nn.Softmax())], "returns probabilities"),
    ([nn.LogSoftmax()], None),
    ([nn.LogSoftmax(), nn.Flatten()], None),
    ([nn.Sequential(nn.LogSoftmax(), nn.Sequential(nn.Flatten()))], None),
], ids=str)  # fmt: skip
def test_nll_loss_needs_log_probabilities(last, wrong):
    if wrong is None:
        trainer(model(*last), nn.NLLLoss()).fit((X, LABELS), 1, progress=False)
    else:
        with pytest.raises(ValueError, match=wrong):
            trainer(model(*last), nn.NLLLoss())


class Head(nn.Module):
    """A classifier of one's own, which ends as `last` does."""

    def __init__(self, last):
        self.linear, self.last = nn.Linear(4, 3, rng=0), last

    def forward(self, x):
        return self.last(self.linear(x.reshape(-1, 4)))

    def backward(self, grad_output, needs_input_grad=True):
        return self.linear.backward(self.last.backward(grad_output))


class Chain(nn.Sequential):
    def forward(self, x):
        return super().forward(x) * np.float32(1)


def test_a_module_of_ones_own_need_not_say_what_it_returns():
    for subject in (Head(nn.LogSoftmax()), nn.Sequential(Head(nn.LogSoftmax()), nn.Flatten()),
                    Chain(*model(nn.LogSoftmax()))):
        trainer(subject, nn.NLLLoss()).fit((X, LABELS), 1, progress=False)
    with pytest.raises(ValueError, match="log_probs must be log-probabilities"):  # seen at the first step
        trainer(Head(nn.ReLU()), nn.NLLLoss()).fit((X, LABELS), 1, progress=False)
    subject = Head(nn.Softmax())
    subject.returns = "probabilities"
    with pytest.raises(ValueError, match="returns probabilities"):
        trainer(subject, nn.NLLLoss())


def test_cross_entropy_of_probabilities_is_said_and_the_others_are_fine():
    with pytest.warns(UserWarning, match=r"leave out nn.Softmax\(\)") as caught:
        trainer(model(nn.Softmax()), nn.CrossEntropyLoss()).fit((X, LABELS), 1, progress=False)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer(model(nn.LogSoftmax()), nn.CrossEntropyLoss())
        trainer(model(), nn.CrossEntropyLoss())
