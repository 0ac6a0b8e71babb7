// The view Slide as Python: lines that give exactly the numbers that are shown.

import { exact } from "../dom.js";

export function slideCode(app, { head, asked, sent }, [row, column], pooled) {
  const digit = asked.image.startsWith("digit:") ? asked.image.slice(6) : null;
  const { layer, filter } = asked, lines = ["import numpy as np", "import fastconv as fc",
    "from fastconv import data, nn, walk", ""];
  const here = digit !== null && (layer === undefined || app.info.plain);
  lines.push(here ? `image = data.digits("test").images[${digit}]`
    : `image = np.load("fastconv-slide.npz")["image"]  # ${app.t("code.npz")}`);
  if (asked.white === 255) lines.push("image = np.rint(image * 255)");
  let bias = `np.float32([${exact(asked.bias ?? 0)}])`;
  if (layer !== undefined) {
    const { first, count, last } = head.of;
    lines.push(app.info.source, "layers = walk.forward(model, image).layers",
      `layer = next(one for one in layers if one.name.startswith("${layer}:"))`,
      `image = layer.input${last ? ".transpose(2, 0, 1)" : ""}[${first}:${first + count}]`,
      `weight = layer.layer.weight.data[${asked.k}:${asked.k + 1}]`);
    if (asked.bias === undefined && head.of.bias) bias = `layer.layer.bias.data[${asked.k}:${asked.k + 1}]`;
  }
  if (filter === "own") {
    const { data, shape } = sent.weight;
    lines.push(`weight = np.float32([${[...data].map(exact).join(", ")}]).reshape(1, ${shape.join(", ")})`);
  } else if (filter === "random") {
    lines.push(`rng = np.random.default_rng(${asked.seed})`,
      `weight = rng.standard_normal((1, len(image), ${asked.size}, ${asked.size}), np.float32)`);
  } else if (layer === undefined) {
    lines.push(`weight = np.broadcast_to(walk.FILTERS["${filter}"], (1, len(image), 3, 3))`);
  }
  const { rows, columns } = head, both = (name) => rows[name] === columns[name] ? rows[name]
    : `(${rows[name]}, ${columns[name]})`;
  const even = rows.before === rows.after && columns.before === columns.after && rows.before === columns.before;
  const padding = even ? rows.before
    : `((${rows.before}, ${rows.after}), (${columns.before}, ${columns.after}))`;
  const options = [`stride=${both("stride")}`, `padding=${padding}`, `dilation=${both("dilation")}`,
    `padding_mode="${head.padding_mode}"`, `padding_value=${exact(head.padding_value)}`];
  if (head.activation) options.push(`activation="${head.activation}"`);
  lines.push(`bias = ${bias}`, `seen = walk.convolution(image, weight, bias, ${options.join(", ")})`,
    "print(seen.rows.formula, seen.columns.formula)", `print(seen.cell(0, ${row}, ${column}))`);
  if (pooled) lines.push(`pooled = walk.pooling(seen.output, ${pooled.size}, kind="${pooled.kind}")`);
  return lines.join("\n");
}
