// Arrays as pictures: the slices of filters, maps, matrices, vectors, each number a cell.

import { fit, heatmap, limit, photo } from "./canvas.js";
import { picture, show } from "./dom.js";

const fold = () => (innerWidth > 760 ? 100 : 40); // numbers in a row of a vector

// Draws an array of any shape: of filters a column a filter and a row a channel, of maps `wrap` in a row.
// Then canvas.at(event) is the number of the element under the pointer, or -1, and canvas.frame(at) its [top, left].
export function mosaic(canvas, { data, shape }, { width, height = 260, scale = limit(data), wrap = 8 }) {
  const [filters, channels, rows, columns] = shape.length === 1
    ? [1, 1, Math.ceil(shape[0] / fold()), Math.min(shape[0], fold())]
    : [[1, 1, ...shape], [shape[0], 1, ...shape.slice(1)], shape][shape.length - 2];
  const wide = channels > 1 ? filters : Math.min(filters, wrap), high = Math.ceil(filters / wide) * channels;
  const [down, across] = [high * (rows + 1) - 1, wide * (columns + 1) - 1];
  canvas.frame = (at) => {
    const slice = Math.floor(at / (rows * columns)), k = Math.floor(slice / channels);
    return [(Math.floor(k / wide) * channels + (slice % channels)) * (rows + 1) + (Math.floor(at / columns) % rows),
      (k % wide) * (columns + 1) + (at % columns)];
  };
  const cells = new Float32Array(down * across).fill(Number.NaN);
  for (let at = 0; at < data.length; at += columns) {
    const [top, left] = canvas.frame(at);
    cells.set(data.subarray(at, at + columns), top * across + left);
  }
  fit(canvas, down, across, Math.min(width, across * (shape.length === 4 ? 12 : 24)), height);
  heatmap(canvas, cells, down, across, { scale });
  const { cell } = canvas;
  canvas.at = (event) => {
    const bounds = canvas.getBoundingClientRect();
    const [i, j] = [event.clientY - bounds.top, event.clientX - bounds.left].map((side) => Math.floor(side / cell));
    const [line, row] = [Math.floor(i / (rows + 1)), i % (rows + 1)];
    const [tile, column] = [Math.floor(j / (columns + 1)), j % (columns + 1)];
    const slice = (Math.floor(line / channels) * wide + tile) * channels + (line % channels);
    const at = (slice * rows + row) * columns + column;
    return i >= 0 && j >= 0 && tile < wide && row < rows && column < columns && at < data.length ? at : -1;
  };
  return canvas;
}

// The place of an element in an array of this shape.
export function index(at, shape) {
  return shape.map((side, axis) => Math.floor(at / shape.slice(axis + 1).reduce((a, b) => a * b, 1)) % side);
}

// A canvas with an array; `say` gets name[index] = value of what the pointer is on.
export function readable(name, array, options, say) {
  const canvas = mosaic(picture(name), array, options);
  canvas.addEventListener("pointermove", (event) => {
    const at = canvas.at(event);
    if (at >= 0) say(`${name}[${index(at, array.shape).join(", ")}] = ${show(array.data[at], 6)}`);
  });
  return canvas;
}

// An image (C, H, W) in grey or in colour.
export function thumbnail({ data, shape: [channels, rows, columns] }, side, label) {
  const canvas = picture(label);
  fit(canvas, rows, columns, side);
  if (channels === 3) photo(canvas, data, rows, columns, [Math.min(...data), Math.max(...data)]);
  else heatmap(canvas, data.subarray(0, rows * columns), rows, columns, { symmetric: false });
  return canvas;
}
