"""Whether a model, its optimiser and its loss belong together: seen before the first step, not in what comes out."""

from __future__ import annotations

import warnings
from typing import Any

from fastconv.nn.loss import CrossEntropyLoss, NLLLoss
from fastconv.nn.module import Module
from fastconv.nn.sequential import is_chain, last_layer


def check_parts(model: Module, optimizer: Any, loss: Any) -> None:
    """Raise a ValueError where a training would move other parameters, or get its loss from
    other numbers, than meant."""
    _check_parameters(model, optimizer, loss)
    _check_output(model, loss)


def _check_parameters(model: Module, optimizer: Any, loss: Any) -> None:
    """The optimiser moves parameters of the model, all or some, and at most those of the loss beside them."""
    own = {id(parameter) for parameter in model.parameters()}
    of_loss = {id(value) for value in getattr(loss, "__dict__", {}).values()}
    if hasattr(loss, "parameters"):
        of_loss |= {id(parameter) for parameter in loss.parameters()}
    strange = [parameter for parameter in optimizer.params if id(parameter) not in own | of_loss]
    if not strange and own.isdisjoint(map(id, optimizer.params)):
        strange = optimizer.params
    if strange:
        shown = ", ".join(f"{getattr(one, 'name', '') or 'one without a name'} of shape {one.data.shape}"
                          for one in strange[:3])
        raise ValueError("optimizer must be of the model's parameters, such as optim.SGD(model.parameters(), lr=0.1) "
                         f"made after the model is complete: {len(strange)} of its {len(optimizer.params)} parameters "
                         f"are not in the model: {shown}{', ...' if len(strange) > 3 else ''}")


def _check_output(model: Module, loss: Any) -> None:
    """The loss takes what the model returns, as far as that is known: a module of one's own need not say it."""
    last = last_layer(model) if is_chain(model) else model
    known = type(last).__module__.startswith("fastconv.nn.") or model.returns != Module.returns
    if isinstance(loss, NLLLoss) and known and model.returns != "log-probabilities":
        instead = ("nn.LogSoftmax() in place of nn.Softmax()" if model.returns == "probabilities" else
                   "nn.LogSoftmax() behind the last layer, or loss=nn.CrossEntropyLoss()")
        raise ValueError("loss NLLLoss() takes log-probabilities, "
                         f"but the model returns {model.returns}: write {instead}")


def warn_of_probabilities(model: Module, loss: Any) -> None:
    """Say that a loss for scores gets probabilities, which trains, but badly."""
    if isinstance(loss, CrossEntropyLoss) and model.returns == "probabilities":
        warnings.warn("the model returns probabilities, which CrossEntropyLoss() takes for scores and puts through "
                      "softmax again: leave out nn.Softmax(), predict_proba applies it where it is needed",
                      stacklevel=3)
