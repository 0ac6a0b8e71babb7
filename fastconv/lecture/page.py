"""What a page is about: a model, the names of its classes, and how pictures become its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import data, nn, walk
from fastconv.data.framing import Framing
from fastconv.lecture.literal import literal
from fastconv.lecture.shown import Shown
from fastconv.lecture.training import Training

__all__ = ["Page"]


@dataclass(eq=False)
class Page:
    """One page, as long as it is open.

    Attributes
    ----------
    given : Module
        The model that the page began with.
    written : str
        A line of Python that makes it.
    learnt : bool
        Whether it has learnt anything: the one that a page begins with by itself has not.
    classes : list of str
    framing : Framing
        Of the model's images: their size and channels are known.
    token : str
        What the address must begin with; a secret of whoever opened the page.
    shown : Shown
        What is trained on, and the test images that are looked at.
    training : Training
        Of the model.
    """

    given: nn.Module
    written: str
    learnt: bool
    classes: list[str]
    framing: Framing
    token: str
    shown: Shown = field(repr=False)
    training: Training = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.training = Training(self.given, self._datasets)

    @classmethod
    def of(cls, model: nn.Module | None, source: str | None, classes: list[str] | None, framing: Framing,
           token: str, shown: Shown) -> Page:
        """A page about a model, or about an untrained LeNet-5.

        Raises
        ------
        TypeError, ValueError
            If the model is none, or does not take such images; the message says what to give.
        """
        if model is None:
            channels, height, width = shown.train.images.shape[1:]
            count = len(shown.train.classes)
            if height != width:
                raise ValueError("datasets must have square images for a LeNet-5, or model must be another, got "
                                 f"{shown.train!r}")
            size = f"{channels}, {count}, {height}, " if shown.own else ""
            return cls(nn.models.lenet5(channels, count, height, rng=0), f"model = nn.models.lenet5({size}rng=0)",
                       False, classes or shown.train.classes, shown.framing, token, shown)
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a Module, such as nn.Sequential or what fc.load returns, got {model!r}")
        if shown.own and framing == Framing():
            framing = shown.framing
        if framing.size is None or framing.channels is None:
            first = next((layer for _, layer in model.named_modules() if isinstance(layer, nn.Conv2d)), None)
            framing = replace(framing, size=framing.size or (28, 28),
                              channels=framing.channels or (3 if first and first.in_channels == 3 else 1))
            if framing.background is None and framing.channels == 1:
                framing = replace(framing, background=framing.value_range[0], fit=framing.fit or "pad")
        height, width = framing.size or (28, 28)
        page = cls(model, source or "model = ...  # the one that was given to fc.lecture", True, classes or [], framing,
                   token, shown)
        if shown.own and page.shape != shown.train.images.shape[1:]:
            taken = " x ".join(map(str, page.shape))
            raise ValueError(f"datasets must have images of {taken}, as the model takes them, got {shown.train!r}")
        try:
            seen = walk.forward(model, page.blank())
        except (TypeError, ValueError) as error:
            raise ValueError(f"model must take images of {framing.channels} x {height} x {width}, "
                             "or framing must say of what size and channels, as "
                             f"framing=dict(size=(32, 32), channels=3) does: {error}") from error
        count = len(seen.probabilities)
        if not page.classes and shown.own and len(shown.train.classes) == count:
            page.classes = shown.train.classes
        if len(page.classes) not in (0, count):
            raise ValueError(f"classes must be {count} names, one for each output, got {len(page.classes)}")
        page.classes = page.classes or [str(k) for k in range(count)]
        return page

    @property
    def model(self) -> nn.Module:
        """The model, as far as it is trained: nobody changes it, another takes its place."""
        return self.training.progress.model

    @property
    def source(self) -> str:
        """Lines of Python that make the model as it is now."""
        weights = 'model.load_state_dict(fc.load_weights("weights.npz"))  # as Train saves them'
        return f"{self.written}\n{weights}" if self.training.progress.steps else self.written

    @property
    def trained(self) -> bool:
        """Whether the model has learnt anything."""
        return self.learnt or self.training.progress.steps > 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the model's images."""
        assert self.framing.channels is not None and self.framing.size is not None
        return self.framing.channels, *self.framing.size

    def blank(self) -> NDArray[np.float32]:
        """An image of nothing but background."""
        black = self.framing.value_range[0]
        value = black if self.framing.background is None else self.framing.background
        return np.full(self.shape, value, np.float32)

    def framed(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """A picture (C, H, W) with values from 0 to 1 as the model takes it."""
        black, white = self.framing.value_range
        if (black, white) != (0.0, 1.0):
            picture = picture * np.float32(white - black) + np.float32(black)
        return self.framing.frame(picture)[0]

    @property
    def plain(self) -> bool:
        """Whether the model takes the test images as they are."""
        image = self.shown.test.images[0]
        return self.shown.own or (self.shape == image.shape and np.array_equal(self.framed(image), image))

    def _datasets(self) -> tuple[data.ArrayDataset, data.ArrayDataset]:
        """The images as the model takes them: to train on, and to judge by."""
        def framed(digits: data.ArrayDataset) -> data.ArrayDataset:
            return data.ArrayDataset(np.stack([self.framed(image) for image in digits.images]), digits.labels)

        train, test = self.shown.train, self.shown.test
        return (train, test) if self.plain else (framed(train), framed(test))

    def code_of(self, head: Mapping[str, Any], image: NDArray[np.float32], framed: bool = False) -> str:
        """A line of Python that makes ``image``, the picture that a head names, or what the model sees of it."""
        name = str(head.get("image", "digit:0"))
        if name.startswith("sample:") and not framed:
            return f"image = data.sample({name[7:]!r})"
        if name.startswith("digit:") and (self.plain or not framed) and not self.shown.own:
            return f'image = data.digits("test").images[{name[6:]}]'
        return f"image = {literal(image, 'image')}"

    def program(self, head: Mapping[str, Any], image: NDArray[np.float32]) -> list[str]:
        """Lines of Python that make ``model``, as it is now, and ``image``, what it sees of the picture that a head
        names."""
        return ["import numpy as np", "import fastconv as fc", "from fastconv import data, nn, walk", "", self.source,
                self.code_of(head, image, framed=True)]

    def about(self) -> dict[str, Any]:
        """What a page has to know before it asks."""
        seen = walk.forward(self.model, self.blank())
        layers = [
            {"path": one.name.split(":")[0], "name": one.name, "filters": one.layer.out_channels,
             "of": one.layer.weight.shape[1]}
            for one in seen.layers if isinstance(one.layer, nn.Conv2d)]
        return {"classes": self.classes, "shape": list(self.shape), "trained": self.trained,
                "source": self.source, "layers": layers, "digits": len(self.shown.test),
                "channels": self.shown.test.images.shape[1],
                "filters": list(walk.FILTERS),
                "labels": self.shown.test.labels.tolist()}
