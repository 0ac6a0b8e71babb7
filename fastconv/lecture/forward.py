"""The call ``forward``: one image through the model, all its maps, and what it is taken for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv import walk
from fastconv.lecture.images import Sections, model_image
from fastconv.lecture.page import Page

__all__ = ["forward"]


def forward(page: Page, head: Mapping[str, Any], sections: Sections) -> tuple[dict[str, Any], dict[str, Any]]:
    """The way of ``head["image"]``, see `images.model_image`, through the model.

    Returns head: code, Python that makes the same; prediction, trained, layers (name, path, shape, formula,
    parameters). And sections: x, probabilities, log_probabilities, and ``maps0``, ``maps1``, ... of the layers.
    """
    image = model_image(page, head, sections)
    seen = walk.forward(page.model, image)
    layers = [{"name": one.name, "path": one.name.split(":")[0], "shape": list(one.output.shape),
               "formula": [axis.formula for axis in one.formula], "parameters": one.parameters}
              for one in seen.layers]
    arrays = {"x": seen.x, "probabilities": seen.probabilities, "log_probabilities": seen.log_probabilities}
    arrays |= {f"maps{number}": one.output for number, one in enumerate(seen.layers)}
    code = [*page.program(head, image), "seen = walk.forward(model, image)",
            "print(seen.prediction, seen.probabilities)", "for layer in seen.layers:",
            "    print(layer.name, layer.output.shape, *(axis.formula for axis in layer.formula))"]
    return {"code": "\n".join(code), "prediction": seen.prediction, "trained": page.trained, "layers": layers}, arrays
