// A row a channel: patch x slice = products -> their sum and the channel's map; then the sum over channels and the bias.

import { colour, css, fit, grey, grid, heatmap, ink, limit } from "../canvas.js";
import { button, exact, figure, h, picture, refill, show, sign } from "../dom.js";

const ROWS = 3; // channels that are shown at a time

export class Equation {
  // `edit(channel, tap, value)` is called when a weight is typed; `page(first)` when other channels are wanted.
  constructor(app, edit, page) {
    Object.assign(this, { app, edit, page });
    this.element = h("div", { class: "equation" });
  }

  // Shows a filter over an image, in the cells that are there if they are those that it takes.
  build(seen, first, width) {
    const [channels, rows, columns] = seen.weight.shape, form = [channels, rows, columns, first, width].join();
    Object.assign(this, { seen, first: Math.min(first, channels - 1), taps: rows * columns });
    this.pixel = limit(seen.padded.data);
    this.heaviest = limit(seen.weight.data);
    this.most = limit(seen.channel_maps.data);
    if (form !== this.form) this.lay(channels, rows, columns, width);
    this.form = form;
    for (const row of this.rows) this.weigh(row);
  }

  // Lays out the cells.
  lay(channels, rows, columns, width) {
    const wide = width > 560, room = width - (wide ? 290 : 84) - (wide && channels > 1 ? 75 : 0);
    let side = Math.floor(room / (3 * columns));
    if (side < 30 && !wide) side = Math.floor((width - 44) / (2 * columns)); // the products go below
    side = Math.max(18, Math.min(46, side));
    this.element.style.setProperty("--cell", `${side}px`);
    this.element.classList.toggle("small", side < 36);
    this.room = Math.floor(side / (side < 36 ? 5.6 : 6.9)); // characters of a cell
    const shown = Math.min(ROWS, channels - this.first);
    this.rows = Array.from({ length: shown }, (_, i) => this.row(this.first + i, channels, rows, columns, width));
    const turn = (key, to) => button(this.app.t(key), () => this.page(to), { disabled: to < 0 || to >= channels });
    this.total = h("p", { class: "total" });
    refill(this.element, this.rows.map(({ element }) => element),
      channels > ROWS && h("p", { class: "turn" }, turn("slide.before", this.first - ROWS),
        this.app.t("slide.channels", { first: this.first, last: this.first + shown - 1, of: channels }),
        turn("slide.after", this.first + ROWS)), this.total);
  }

  row(channel, channels, rows, columns, width) {
    const { app, taps } = this;
    const table = (name, cell) => {
      const cells = Array.from({ length: taps }, (_, tap) => cell(tap));
      const lines = Array.from({ length: rows }, (_, r) => h("tr", {}, cells.slice(r * columns, (r + 1) * columns)));
      const label = `${app.t(`slide.${name}`)}${channels > 1 ? ` ${app.t("slide.channel", { c: channel })}` : ""}`;
      return [figure(app.t(`slide.${name}`),
        h("table", { class: `cells ${name}`, "aria-label": label }, h("tbody", {}, lines))), cells];
    };
    const [patch, patches] = table("patch", () => h("td"));
    const inputs = Array.from({ length: taps }, (_, tap) => this.input(channel, tap, columns));
    const [slice] = table("slice", (tap) => h("td", {}, inputs[tap]));
    const [product, products] = table("products", () => h("td"));
    const sum = h("output");
    const map = width > 560 && picture(app.t("slide.map", { c: channel }), { class: "map" });
    const element = h("div", { class: "row" }, channels > 1 && h("h3", {}, app.t("slide.channel", { c: channel })),
      patch, sign("×"), slice, sign("="), product, h("span", { class: "sum" }, "Σ = ", sum),
      map && figure(app.t("slide.map.short"), map));
    return { element, channel, patches, inputs, products, sum, map };
  }

  // A weight, of which all digits are shown to who is about to type.
  input(channel, tap, columns) {
    const input = h("input", { inputmode: "decimal", size: 1, onfocus: () => {
      input.value = input.dataset.value;
      input.select();
    }, onblur: () => (input.value = short(Number(input.dataset.value), this.room)), onchange: () => {
      const given = Number(input.value.replace("−", "-"));
      if (input.value.trim() && Number.isFinite(given)) this.edit(channel, tap, given);
    }, "aria-label": this.app.t("slide.weight", { c: channel, row: Math.floor(tap / columns), column: tap % columns }) });
    return input;
  }

  // Fills in a channel's weights, and draws its map.
  weigh({ channel, inputs, map }) {
    inputs.forEach((input, tap) => {
      const value = this.seen.weight.data[channel * this.taps + tap], shade = colour(value / this.heaviest);
      input.dataset.value = exact(value);
      if (input !== document.activeElement) input.value = short(value, this.room);
      [input.style.background, input.style.color] = [css(shade), ink(shade)];
    });
    if (map) this.draw(map, channel);
  }

  draw(canvas, channel) {
    const { shape: [, rows, columns], data } = this.seen.channel_maps, plane = rows * columns;
    fit(canvas, rows, columns, 72);
    heatmap(canvas, data.subarray(channel * plane, (channel + 1) * plane), rows, columns,
      { scale: this.most });
    if (canvas.cell > 8) grid(canvas, rows, columns);
  }

  // Fills in the numbers of one output cell. The sum of products is the picture's, `sums` and `output` the kernel's.
  move(row, column) {
    const { seen, taps, room } = this, { rows, columns, activation } = seen.head;
    const [channels, height, width] = seen.padded.shape, [, , s] = seen.weight.shape;
    const channelSums = new Float32Array(channels);
    const largest = this.pixel * this.heaviest;
    for (let c = 0, at = 0; c < channels; c++) {
      const line = this.rows[c - this.first];
      let sum = 0;
      for (let tap = 0; tap < taps; tap++, at++) {
        const i = row * rows.stride + Math.floor(tap / s) * rows.dilation;
        const j = column * columns.stride + (tap % s) * columns.dilation;
        const pixel = seen.padded.data[(c * height + i) * width + j];
        const product = Math.fround(pixel * seen.weight.data[at]);
        sum += product;
        if (!line) continue;
        fill(line.patches[tap], pixel, seen.signed ? colour(pixel / this.pixel) : grey(pixel / seen.head.white), room);
        line.patches[tap].classList.toggle("outside", i < rows.before || i >= rows.before + rows.size
          || j < columns.before || j >= columns.before + columns.size);
        fill(line.products[tap], product, colour(product / largest), room);
      }
      channelSums[c] = sum;
      if (line) value(line.sum, channelSums[c]);
    }
    const at = row * columns.outputs + column, kernel = seen.sums.data[at], result = seen.output.data[at];
    const bias = seen.bias.data[0], own = Math.fround(channelSums.reduce((a, b) => a + b, 0) + bias);
    const several = channels > 1 && channels <= 6 ? [...channelSums] : [Math.fround(own - bias)];
    const difference = own - kernel;
    refill(this.total, several.flatMap((one, i) => [i ? " + " : "", bracketed(one, i > 0)]),
      ` + ${this.app.t("slide.bias.short")} `, bracketed(bias, true), " = ", value(h("output", { id: "sum" }), kernel),
      h("small", {}, difference ? ` (${this.app.t("slide.difference", { by: show(difference, 2) })})` : ""),
      activation ? `, ${activation} → ` : " → ", `out[${row}, ${column}] = `,
      value(h("output", { id: "result" }), result));
  }
}

function value(element, number) {
  element.textContent = show(number, 6);
  element.dataset.value = number;
  return element;
}

function bracketed(number, inside) {
  const text = show(number, 6);
  return h("output", {}, inside && number < 0 ? `(${text})` : text);
}

// As many digits as a cell has room for.
function short(number, room) {
  let text = "";
  for (let digits = 4; digits > 0; digits--) if ((text = show(number, digits)).length <= room) return text;
  return Math.abs(number) < 0.1 ? number.toExponential(0).replaceAll("-", "−") : text;
}

function fill(cell, number, shade, room) {
  const text = short(number, room);
  if (cell.textContent !== text) cell.textContent = text; // what stays as it is needs no layout
  cell.dataset.value = number; // all its digits: a shorter text that is the same float32 takes longer to find
  cell.style.background = css(shade);
  cell.style.color = ink(shade);
}
