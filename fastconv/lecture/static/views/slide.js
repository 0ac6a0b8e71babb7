// One filter slides over one image: the window, its products and their sum, cell by cell of the output.

import { box, grid, hatch, heatmap, limit, photo, Plane } from "../canvas.js";
import { button, exact, field, formula, h, number, refill, select, show } from "../dom.js";
import * as pictures from "../pictures.js";
import { Equation } from "./equation.js";

const MODES = ["constant", "reflect", "symmetric", "replicate", "circular"];
const ACTIVATIONS = ["relu", "leaky_relu", "sigmoid", "tanh", "relu6"];
const SPEEDS = [1, 4, 16, 60];
const LIT = "#f5a300", CURRENT = "#18a558";
const MOST_EDITED = 400; // weights that an address can hold

let app, root, parts, seen, pooled, equation, playing, ask;

export default {
  id: "slide",
  keys: {
    ArrowUp: () => step(-1, 0), ArrowDown: () => step(1, 0), ArrowLeft: () => step(0, -1), ArrowRight: () => step(0, 1),
    Home: () => place(0, 0), End: () => seen && place(seen.head.rows.outputs - 1, seen.head.columns.outputs - 1),
    "[": () => app.set({ stride: Math.max(1, app.number("stride", 1) - 1) }),
    "]": () => app.set({ stride: app.number("stride", 1) + 1 }),
    p: () => app.set({ padding: app.number("padding", 1) + 1 }),
    P: () => app.set({ padding: Math.max(0, app.number("padding", 1) - 1) }),
    f: () => next(), " ": () => play(),
  },

  mount(element, application) {
    [app, root, seen, pooled] = [application, element, null, null];
    ask = app.question(convolved, (answer) => {
      [seen, pooled] = answer;
      draw();
    });
    equation = new Equation(app, edit, (channel) => app.set({ channel }));
    parts = { controls: h("div", { class: "controls" }), input: new Plane("input"),
      output: new Plane("output", { tabIndex: 0 }), pool: new Plane("pool"),
      formula: h("p", { class: "formula" }), note: h("p", { class: "note" }) };
    parts.pool.figure.hidden = true;
    element.append(
      h("details", { class: "side", open: innerWidth > 760 },
        h("summary", {}, app.t("controls")), parts.controls),
      h("div", { class: "stage" },
        h("div", { class: "planes" }, parts.input.figure, parts.output.figure, parts.pool.figure),
        parts.formula, equation.element, parts.note));
    for (const kind of ["pointermove", "pointerdown"]) {
      parts.output.over.addEventListener(kind, (event) => place(...parts.output.at(event)));
      parts.input.over.addEventListener(kind, (event) => light(...parts.input.at(event)));
    }
    parts.output.over.addEventListener("click", () => parts.output.base.focus({ preventScroll: true }));
    parts.input.over.addEventListener("pointerleave", () => light(-1, -1));
    controls();
    ask();
  },

  unmount() {
    clearInterval(playing);
    [playing, seen] = [null, null];
  },

  update(names) {
    if (names.every((name) => name === "row" || name === "column")) return mark();
    if (names.every((name) => name === "channel")) return draw();
    if (names.every((name) => name === "speed")) return playing && (play(), play());
    controls();
    ask();
  },

  describe() {
    if (!seen) return "";
    const { rows, columns } = seen.head, [row, column] = at(), cell = row * columns.outputs + column;
    return app.t("slide.said", { row, column, rows: rows.outputs, columns: columns.outputs,
      sum: show(seen.sums.data[cell], 6), value: show(seen.output.data[cell], 6) });
  },

  code() {
    const [row, column] = at(), { size, kind } = pooling();
    return [seen.head.code, "print(seen.rows.formula, seen.columns.formula)", `print(seen.cell(0, ${row}, ${column}))`,
      ...pooled ? [`pooled = walk.pooling(seen.output, ${size}, kind="${kind}")`] : []].join("\n");
  },

  arrays() {
    const { padded, weight, bias, channel_maps, sums, output } = seen;
    return { ...seen.image && { image: seen.image }, padded, weight, bias, channel_maps, sums, output,
      ...pooled && { pooled: pooled.output } };
  },
};

// --- what is asked of the server ------------------------------------------------------------------------------------

// The filter of the address: its name, the layer that has learnt it, its weights if they were typed.
function chosen() {
  const layer = app.info.layers.find(({ path }) => path === app.get("layer"));
  return { layer, filter: app.get("filter", layer ? "learnt" : "sobel-x"), k: app.number("k", 0) };
}

async function request() {
  const { layer, filter, k } = chosen();
  const head = { image: pictures.name(app), filter };
  const sent = await pictures.sections(app);
  if (layer) Object.assign(head, { layer: layer.path, k: Math.min(k, layer.filters - 1) });
  else head.white = app.number("white", 255);
  if (filter === "random") Object.assign(head, { seed: app.number("seed", 0), size: app.number("size", 3) });
  if (filter === "own") sent.weight = typed(layer ? layer.of : pictures.channels(app, sent));
  for (const name of ["stride", "padding", "dilation"]) {
    if (app.state[name] !== undefined || !layer) head[name] = app.number(name, 1);
  }
  for (const name of ["padding_mode", "activation"]) if (app.get(name)) head[name] = app.get(name);
  for (const name of ["padding_value", "bias"]) {
    if (app.state[name] !== undefined || !layer) head[name] = app.number(name, 0);
  }
  if ((head.padding_mode ?? "constant") !== "constant") delete head.padding_value;
  return { head, sent };
}

// The weights in the address, "1x3x3 -1 0 1 ...", for an image of some channels.
function typed(channels) {
  const [sizes, ...numbers] = app.get("w", "1x3x3").split(" ");
  const [count, rows, columns] = sizes.split("x").map(Number), slice = rows * columns;
  const data = new Float32Array(channels * slice);
  for (let i = 0; i < data.length; i++) data[i] = Number(numbers[count === channels ? i : i % slice]) || 0;
  return { data, shape: [channels, rows, columns] };
}

const pooling = () => ({ kind: app.get("pool"), size: app.number("pool_size", 2) });

// The convolution that is asked for, and the pooling behind it if there is one.
async function convolved() {
  const { head: asked, sent } = await request(), { head, sections } = await app.call("conv", asked, sent);
  const found = { image: sent.image, sums: sections.output, ...sections, head, signed: !head.picture };
  if (!app.get("pool")) return [found, null];
  const { data, shape } = sections.output;
  const pool = await app.call("pool", pooling(), { x: { data, shape: [1, ...shape] } });
  return [found, { head: pool.head, ...pool.sections }];
}

// --- controls -------------------------------------------------------------------------------------------------------

// The controls are made again only where others are needed: who is about to type keeps the field.
function controls() {
  const { layer, filter, k } = chosen(), { t } = app, of = layer && seen?.head;
  const free = (key, value, bounds) => ({ key, value, control: () => number(value, bounds, (given) =>
    key === "size" ? resize(given) : app.set({ [key]: given })) });
  const list = (key, options, value = "") => ({ key, value, control: () => select(options, value, (given) =>
    key === "filter" ? choose(given) : app.set({ [key]: given })), options: options.length });
  const any = { min: -1e6, max: 1e6, step: "any" };
  const filters = [...app.info.filters, "random"].map((one) => [one, t(`filter.${one}`)]);
  filters.push(...app.info.layers.map(({ path, name: title }) => [`learnt:${path}`, t("filter.learnt", { title })]));
  if (filter === "own") filters.push(["own", t("filter.own")]);
  const mode = app.get("padding_mode", seen?.head.padding_mode ?? "constant");
  const wanted = [
    !layer && list("white", [["255", "0 … 255"], ["1", "0 … 1"]], app.get("white", "255")),
    list("filter", filters, filter === "learnt" ? `learnt:${layer?.path}` : filter),
    filter === "learnt" && free("k", k, { min: 0, max: layer.filters - 1 }),
    filter === "random" && free("seed", app.number("seed", 0), { min: 0, max: 9999 }),
    free("size", seen?.weight.shape[1] ?? 3, { min: 1, max: 11 }),
    free("bias", app.number("bias", seen ? Number(exact(seen.bias.data[0])) : 0), any),
    free("stride", app.number("stride", of?.rows.stride ?? 1), { min: 1, max: 64 }),
    free("padding", app.number("padding", of?.rows.before ?? 1), { min: 0, max: 64 }),
    list("padding_mode", MODES.map((one) => [one, t(`mode.${one}`)]), mode),
    mode === "constant" && free("padding_value", app.number("padding_value", of?.padding_value ?? 0), any),
    free("dilation", app.number("dilation", of?.rows.dilation ?? 1), { min: 1, max: 32 }),
    list("activation", [["", t("none")], ...ACTIVATIONS.map((one) => [one, one])], app.get("activation")),
    list("pool", [["", t("none")], ["max", t("pool.max")], ["average", t("pool.average")]], app.get("pool")),
    app.get("pool") && free("pool_size", app.number("pool_size", 2), { min: 1, max: 16 }),
  ].filter(Boolean);
  const form = [app.get("image"), ...wanted.map(({ key, options }) => `${key}${options ?? ""}`)].join();
  if (form === parts.form) {
    for (const { key, value } of wanted) {
      if (document.activeElement !== parts.fields[key]) parts.fields[key].value = `${value}`;
    }
    return;
  }
  const focus = Object.keys(parts.fields ?? {}).find((key) => parts.fields[key] === document.activeElement);
  parts.form = form;
  parts.fields = Object.fromEntries(wanted.map(({ key, control }) => [key, control()]));
  const speeds = select(SPEEDS.map((speed) => [`${speed}`, t("slide.per.second", { speed })]), app.get("speed", "4"),
    (speed) => app.set({ speed }));
  speeds.setAttribute("aria-label", t("slide.speed"));
  refill(parts.controls, pictures.picker(app), wanted.map(({ key }) => field(t(`slide.${key}`), parts.fields[key], key === "filter")),
    h("div", { class: "play" }, button("", play, { id: "play" }), button(t("step"), () => step(0, 1)), speeds));
  name();
  if (focus) parts.fields[focus]?.focus();
}

// A filter that a layer has learnt comes with all that the layer says: what was set before is forgotten.
function choose(value) {
  const names = ["k", "w", "channel", "row", "column"];
  if (value.startsWith("learnt:") || app.get("layer")) {
    names.push("stride", "padding", "dilation", "padding_mode", "padding_value", "bias");
  }
  const forgotten = Object.fromEntries(names.map((name) => [name, null]));
  app.set(value.startsWith("learnt:") ? { ...forgotten, layer: value.slice(7), filter: null }
    : { ...forgotten, filter: value, layer: null });
}

// What the button does next.
function name() {
  parts.controls.querySelector("#play").textContent = playing ? `❚❚ ${app.t("pause")}` : `▶ ${app.t("play")}`;
}

// A filter of another size: a random one is drawn anew, any other is cut or gets zeros around it.
function resize(size) {
  if (chosen().filter === "random") return app.set({ size });
  const { data, shape: [channels, rows, columns] } = seen.weight, grown = new Float32Array(channels * size * size);
  const [down, right] = [Math.floor((size - rows) / 2), Math.floor((size - columns) / 2)];
  for (let c = 0; c < channels; c++) {
    for (let r = 0; r < rows; r++) {
      for (let s = 0; s < columns; s++) {
        const [i, j] = [r + down, s + right];
        if (i >= 0 && j >= 0 && i < size && j < size) grown[(c * size + i) * size + j] = data[(c * rows + r) * columns + s];
      }
    }
  }
  own(grown, [channels, size, size]);
}

function edit(channel, tap, value) {
  const { data, shape } = seen.weight, changed = Float32Array.from(data);
  changed[channel * shape[1] * shape[2] + tap] = value;
  own(changed, shape);
}

function own(data, shape) {
  if (data.length > MOST_EDITED) return app.fail(app.t("slide.too.many", { most: MOST_EDITED }));
  app.set({ filter: "own", w: [shape.join("x"), ...[...data].map(exact)].join(" ") });
}

// The next filter: of the layer, or of the presets.
function next() {
  const { layer, filter, k } = chosen();
  if (layer) return app.set({ k: (k + 1) % layer.filters, filter: null, w: null });
  const names = app.info.filters;
  app.set({ filter: names[(names.indexOf(filter) + 1) % names.length], w: null });
}

// --- the cell ---------------------------------------------------------------------------------------------------------

function at() {
  const { rows, columns } = seen.head, middle = (axis) => Math.floor(axis.outputs / 2);
  return [Math.min(rows.outputs - 1, Math.max(0, app.number("row", middle(rows)))),
    Math.min(columns.outputs - 1, Math.max(0, app.number("column", middle(columns))))];
}

function place(row, column) {
  if (!seen) return;
  const { rows, columns } = seen.head, inside = (at, axis) => Math.min(axis.outputs - 1, Math.max(0, at));
  app.set({ row: inside(row, rows), column: inside(column, columns) });
}

function step(down, right) {
  if (!seen) return;
  const { rows, columns } = seen.head, [row, column] = at();
  const cells = rows.outputs * columns.outputs;
  const cell = ((row + down) * columns.outputs + column + right + cells) % cells;
  place(Math.floor(cell / columns.outputs), cell % columns.outputs);
}

function play() {
  clearInterval(playing);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const speed = Math.min(calm ? 4 : 60, app.number("speed", 4));
  playing = playing ? null : setInterval(() => step(0, 1), 1000 / speed);
  name();
}

// --- drawing ----------------------------------------------------------------------------------------------------------

function draw() {
  const { head, padded, output } = seen, { rows, columns } = head, { t } = app, { input, output: result, pool } = parts;
  const [channels, height, width] = padded.shape, count = pooled ? 3 : 2;
  const room = root.querySelector(".stage").clientWidth;
  const wide = Math.min(320, Math.floor(room > 560 ? (room - 20 * count) / count : room / 2 - 8));
  const tall = room > 560 ? 300 : wide;
  const first = Math.min(app.number("channel", 0), channels - 1);

  input.fit(height, width, wide, tall);
  if (seen.signed) {
    heatmap(input.base, padded.data.subarray(first * height * width, (first + 1) * height * width), height, width,
      { scale: limit(padded.data) });
  } else if (channels === 3) photo(input.base, padded.data, height, width, [0, head.white]);
  else heatmap(input.base, padded.data, height, width, { symmetric: false, scale: [0, head.white] });
  grid(input.base, height, width);
  frame(input.base, rows, columns);
  input.name(t(seen.signed && channels > 1 ? "slide.input.channel" : "slide.input",
    { shape: `${channels} × ${rows.size} × ${columns.size}`, c: first,
      padding: rows.before || rows.after || columns.before || columns.after ? t("slide.with.padding") : "" }));

  const scale = limit(output.data);
  const map = (plane, data, down, across, key, values) => {
    plane.fit(down, across, wide, tall);
    heatmap(plane.base, data, down, across, { scale });
    grid(plane.base, down, across);
    plane.name(t(key, { shape: `${down} × ${across}`, ...values }));
  };
  map(result, output.data, rows.outputs, columns.outputs, "slide.output", { scale: show(scale, 3) });
  pool.figure.hidden = !pooled;
  if (pooled) {
    map(pool, pooled.output.data, pooled.head.rows.outputs, pooled.head.columns.outputs, "slide.pooled",
      { kind: t(`pool.${pooled.head.kind}`) });
  }
  refill(parts.formula, formula("OH", rows), formula("OW", columns));
  parts.note.textContent = rows.unvisited.length + columns.unvisited.length
    ? t("slide.unvisited", { rows: rows.unvisited.length, columns: columns.unvisited.length }) : "";
  equation.build(seen, first, room);
  controls();
  mark();
}

// Padding is hatched, and crossed where no window comes.
function frame(canvas, rows, columns) {
  const [height, width] = [rows.before + rows.size + rows.after, columns.before + columns.size + columns.after];
  hatch(canvas, 0, 0, rows.before, width);
  hatch(canvas, height - rows.after, 0, rows.after, width);
  hatch(canvas, rows.before, 0, rows.size, columns.before);
  hatch(canvas, rows.before, width - columns.after, rows.size, columns.after);
  const { cell } = canvas, context = canvas.getContext("2d");
  if (rows.before + rows.after + columns.before + columns.after) {
    box(context, cell, rows.before, columns.before, rows.size, columns.size, "rgb(128 128 128 / 0.9)", 1, [4, 3]);
  }
  for (const row of rows.unvisited) hatch(canvas, row, 0, 1, width, "rgb(220 40 40 / 0.8)", 4);
  for (const column of columns.unvisited) hatch(canvas, 0, column, height, 1, "rgb(220 40 40 / 0.8)", 4);
}

// The window and its cell, with numbers.
function mark() {
  if (!seen) return;
  const { input, output, pool } = parts, { rows, columns } = seen.head, [row, column] = at();
  const context = input.clear(), { cell } = input.over, [top, left] = [row * rows.stride, column * columns.stride];
  const extent = (axis) => axis.dilation * (axis.taps - 1) + 1;
  if (rows.dilation > 1 || columns.dilation > 1) {
    context.fillStyle = "rgb(24 165 88 / 0.35)";
    for (let r = 0; r < rows.taps; r++) {
      for (let s = 0; s < columns.taps; s++) {
        context.fillRect((left + s * columns.dilation) * cell, (top + r * rows.dilation) * cell, cell, cell);
      }
    }
  }
  input.box(top, left, extent(rows), extent(columns), CURRENT, 2.5);
  output.clear();
  output.box(row, column, 1, 1, CURRENT, 2.5);
  if (pooled) {
    pool.clear();
    const { rows: down, columns: across } = pooled.head;
    const [i, j] = [Math.floor(row / down.stride), Math.floor(column / across.stride)];
    if (i < down.outputs && j < across.outputs) {
      pool.box(i, j, 1, 1, LIT, 2.5);
      output.box(i * down.stride, j * across.stride, down.taps, across.taps, LIT, 2, [3, 2]);
    }
  }
  equation.move(row, column);
  app.announce();
}

// Every output that a pixel of the padded image feeds.
function light(row, column) {
  mark();
  if (!seen || row < 0) return;
  const { rows, columns } = seen.head, { input, output } = parts;
  const fed = (axis, pixel) => Array.from({ length: axis.outputs }, (_, i) => i).filter((i) => {
    const tap = pixel - i * axis.stride;
    return tap >= 0 && tap % axis.dilation === 0 && tap / axis.dilation < axis.taps;
  });
  const [down, across] = [fed(rows, row), fed(columns, column)];
  input.box(row, column, 1, 1, LIT, 2);
  for (const i of down) for (const j of across) output.box(i, j, 1, 1, LIT, Math.min(2, output.over.cell / 3));
  app.announce(app.t("slide.feeds", { row: row - rows.before, column: column - columns.before,
    count: down.length * across.length }));
}
