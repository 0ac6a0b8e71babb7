// Planes of numbers as pixels. Red is above 0 and blue below it; below 0 there is a mark as well: a minus in cells that
// are large enough, a chequered texture in small ones.

import { h, picture } from "./dom.js";

const MARKED = 7; // CSS pixels of a cell that has room for a minus

const SHADES = 255; // colours on either side of 0

const night = matchMedia("(prefers-color-scheme: dark)");
const LIGHT = ramp([247, 247, 247], [190, 30, 45], [30, 90, 180]);
const DARK = ramp([36, 41, 51], [255, 112, 96], [92, 160, 255]);

// Three colours, and those between them as they are in memory, see `packed`.
function ramp(zero, above, below) {
  const between = (_, i) => packed(...colour((i - SHADES) / SHADES, { zero, above, below }));
  return { zero, above, below, words: Uint32Array.from({ length: 2 * SHADES + 1 }, between) };
}

// The colour of a number between -1 and 1.
export function colour(part, { zero, above, below } = night.matches ? DARK : LIGHT) {
  const end = part < 0 ? below : above, amount = Math.min(1, Math.abs(part)) || 0;
  return zero.map((from, i) => Math.round(from + (end[i] - from) * amount));
}

// The grey of a number between 0 and 1.
export function grey(part) {
  const level = Math.round(255 * Math.max(0, Math.min(1, part)) || 0);
  return [level, level, level];
}

export function css([red, green, blue]) {
  return `rgb(${red} ${green} ${blue})`;
}

// Black or white, whichever can be read on a colour.
export function ink([red, green, blue]) {
  const light = 0.2126 * red ** 2.2 + 0.7152 * green ** 2.2 + 0.0722 * blue ** 2.2;
  return light > 0.18 * 255 ** 2.2 ? "#000" : "#fff";
}

export function limit(data) {
  let most = 0;
  for (let i = 0; i < data.length; i++) {
    const size = Math.abs(data[i]);
    if (size > most && size < Infinity) most = size;
  }
  return most || 1;
}

// Makes a canvas as large as its box allows, with square cells.
export function fit(canvas, rows, columns, width, height = width) {
  canvas.cell = Math.min(width / columns, height / rows);
  blank(canvas, ...[columns, rows].map((cells) => Math.max(1, Math.round(canvas.cell * cells))));
}

// Makes a canvas so large, with nothing on it; returns what draws on it, in CSS pixels.
export function blank(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1, context = canvas.getContext("2d");
  const size = [width, height].map((side) => Math.round(side * ratio));
  [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  else context.reset();
  context.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
  return context;
}

const scratch = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

// Fills a canvas, or the rectangle [x, y, width, height] of it: write(words) writes its pixels, see `packed`.
function pixels(canvas, rows, columns, write, at) {
  const image = new ImageData(columns, rows);
  write(new Uint32Array(image.data.buffer));
  [scratch.canvas.width, scratch.canvas.height] = [columns, rows];
  scratch.putImageData(image, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(scratch.canvas, ...at ?? whole(canvas));
}

// A colour as ImageData has it in memory; 0 is transparent.
function packed(red, green, blue) {
  return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
}

// A number from 0 to 255, as near as there is a byte.
function byte(value) {
  return value > 255 ? 255 : value > 0 ? Math.round(value) : 0;
}

function whole(canvas) {
  return [0, 0, parseFloat(canvas.style.width), parseFloat(canvas.style.height)];
}

// The cells of a plane that a canvas has pixels for: [data, rows, columns].
function sampled(canvas, data, rows, columns) {
  const [down, across] = [Math.min(rows, canvas.height), Math.min(columns, canvas.width)];
  if (down === rows && across === columns) return [data, rows, columns];
  const found = new Float32Array(down * across);
  for (let i = 0, at = 0; i < down; i++) {
    const line = Math.floor((i + 0.5) * rows / down) * columns;
    for (let j = 0; j < across; j++, at++) found[at] = data[line + Math.floor((j + 0.5) * columns / across)];
  }
  return [found, down, across];
}

// A plane of numbers. symmetric: red and blue about 0, `scale` is the limit; else grey from scale[0] to scale[1].
// Where there is none, NaN, the canvas is left as it is.
export function heatmap(canvas, data, rows, columns, { symmetric = true, scale, at } = {}) {
  if (!symmetric) {
    const [low, high] = scale ?? [Math.min(...data), Math.max(...data)];
    const factor = high > low ? 255 / (high - low) : 0;
    return pixels(canvas, rows, columns, (words) => {
      for (let i = 0; i < words.length; i++) words[i] = byte((data[i] - low) * factor) * 0x10101 + 0xff000000;
    }, at);
  }
  const most = scale ?? limit(data), colours = night.matches ? DARK : LIGHT, factor = SHADES / most;
  [data, rows, columns] = sampled(canvas, data, rows, columns);
  const [x, y, width, height] = at ?? whole(canvas), cell = width / columns, down = height / rows;
  const marks = cell >= MARKED;
  pixels(canvas, rows, columns, (words) => {
    for (let row = 0, i = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, i++) {
        let shade = Math.max(-SHADES, Math.min(SHADES, data[i] * factor));
        if (shade < 0 && !marks && (row + column) & 1) shade *= 0.6; // the texture
        if (!Number.isNaN(shade)) words[i] = colours.words[Math.floor(shade + SHADES + 0.5)];
      }
    }
  }, at);
  if (!marks) return;
  const context = canvas.getContext("2d");
  for (let i = 0; i < rows * columns; i++) {
    if (!(data[i] < 0)) continue;
    const part = -data[i] / most;
    context.fillStyle = ink(colour(-part, colours));
    context.globalAlpha = 0.35 + 0.4 * Math.min(1, part);
    context.fillRect(x + (i % columns + 0.32) * cell, y + (Math.floor(i / columns) + 0.5) * down - 0.5, 0.36 * cell, 1);
  }
  context.globalAlpha = 1;
}

// A colour picture of three planes.
export function photo(canvas, data, rows, columns, [low, high]) {
  const plane = rows * columns, factor = 255 / (high - low || 1);
  const level = (at) => byte((data[at] - low) * factor);
  pixels(canvas, rows, columns, (words) => {
    for (let i = 0; i < plane; i++) words[i] = packed(level(i), level(plane + i), level(2 * plane + i));
  });
}

// Lines between cells that are large enough to be told apart.
export function grid(canvas, rows, columns) {
  const { cell } = canvas;
  if (cell < 5) return;
  const context = canvas.getContext("2d");
  context.strokeStyle = "rgb(128 128 128 / 0.25)";
  context.lineWidth = 1;
  context.beginPath();
  for (let i = 1; i < rows; i++) context.rect(0, i * cell - 0.5, columns * cell, 0);
  for (let j = 1; j < columns; j++) context.rect(j * cell - 0.5, 0, 0, rows * cell);
  context.stroke();
}

// Diagonal lines over a rectangle of cells: padding, or what no window visits.
export function hatch(canvas, top, left, rows, columns, style = "rgb(128 128 128 / 0.55)", gap = 6) {
  if (!(rows > 0 && columns > 0)) return;
  const { cell } = canvas, context = canvas.getContext("2d");
  const [x, y, width, height] = [left * cell, top * cell, columns * cell, rows * cell];
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = style;
  context.lineWidth = 1;
  context.beginPath();
  for (let d = Math.floor((x - y - height) / gap) * gap; d < x + width - y; d += gap) {
    context.moveTo(d + y, y);
    context.lineTo(d + y + height, y + height);
  }
  context.stroke();
  context.restore();
}

// A frame around cells.
export function box(context, cell, top, left, rows, columns, style, width = 2, dash = []) {
  context.strokeStyle = style;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.strokeRect(left * cell + width / 2 - 1, top * cell + width / 2 - 1, columns * cell - width + 2,
    rows * cell - width + 2);
  context.setLineDash([]);
}

// A figure of rows x columns cells, and over it a canvas for the marks that move.
export class Plane {
  constructor(name, properties = {}) {
    this.base = picture(null, properties);
    this.over = h("canvas", { class: "over", "aria-hidden": "true" });
    this.caption = h("figcaption");
    this.figure = h("figure", { class: `plane ${name}` }, this.caption, h("div", { class: "stack" }, this.base, this.over));
  }

  // Makes it as large as its box allows.
  fit(rows, columns, width, height) {
    fit(this.base, rows, columns, width, height);
    this.cover();
  }

  // Makes the canvas of the marks as large as the other.
  cover() {
    const { base, over } = this;
    [over.style.width, over.style.height, over.width, over.height, over.cell]
      = [base.style.width, base.style.height, base.width, base.height, base.cell ?? 1];
    over.getContext("2d").setTransform(base.getContext("2d").getTransform());
  }

  // Says what it shows.
  name(text) {
    this.caption.textContent = text;
    this.base.setAttribute("aria-label", text);
  }

  // Wipes the marks away; returns what draws others.
  clear() {
    const context = this.over.getContext("2d");
    context.clearRect(0, 0, this.over.width, this.over.height);
    return context;
  }

  // [row, column] of the cell under the pointer.
  at({ clientX, clientY }) {
    const { left, top } = this.over.getBoundingClientRect(), { cell } = this.over;
    return [Math.floor((clientY - top) / cell), Math.floor((clientX - left) / cell)];
  }

  box(top, left, rows, columns, style, width = 2, dash = []) {
    box(this.over.getContext("2d"), this.over.cell, top, left, rows, columns, style, width, dash);
  }
}
