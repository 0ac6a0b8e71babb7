// Elements, fields, formulas, and numbers as people read them.

const MATH = "http://www.w3.org/1998/Math/MathML";

// An element: h("button", { class: "x", onclick: f, "aria-label": "y" }, "text", child, ...)
export function h(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

// The same in MathML.
export function m(tag, ...children) {
  return filled(document.createElementNS(MATH, tag), {}, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list" && typeof value !== "string") element[name] = value;
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...wanted(children));
  return element;
}

// Lists of children are laid open; what is null or false is none.
function wanted(children) {
  return children.flat().filter((child) => (child ?? false) !== false);
}

// Other children instead of those that an element has.
export function refill(element, ...children) {
  element.replaceChildren(...wanted(children));
}

export function button(text, onclick, properties = {}) {
  return h("button", { type: "button", onclick, ...properties }, text);
}

// A canvas that is a picture of something.
export function picture(label, properties = {}) {
  return h("canvas", { role: "img", "aria-label": label, ...properties });
}

export function figure(caption, ...inside) {
  return h("figure", {}, h("figcaption", {}, caption), ...inside);
}

// A sign between figures, which is nothing to be read aloud.
export function sign(text) {
  return h("span", { class: "sign", "aria-hidden": "true" }, text);
}

// A control with its label.
export function field(label, control, wide = false) {
  return h("label", { class: wide ? "field wide" : "field" }, h("span", {}, label), control);
}

export function select(options, value, onchange) {
  const control = h("select", { onchange: () => onchange(control.value) },
    options.map(([name, text]) => h("option", { value: name }, text)));
  control.value = value;
  return control;
}

export function number(value, { min, max, step = 1 }, onchange) {
  const control = h("input", { type: "number", min: `${min}`, max: `${max}`, step: `${step}`, value: `${value}` });
  control.addEventListener("change", () => {
    const given = control.value === "" ? Number.NaN : Number(control.value);
    const kept = Number.isFinite(given) ? Math.min(max, Math.max(min, step === 1 ? Math.round(given) : given)) : min;
    control.value = `${kept}`;
    onchange(kept);
  });
  return control;
}

// Few digits, a true minus, and none before 0.
export function show(value, digits = 4) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const plain = size >= 1e-3 && size < 10 ** Math.max(5, digits);
  const text = plain ? `${Number.isInteger(value) && size < 1e5 ? value : Number(value.toPrecision(digits))}`
    : value.toExponential(Math.max(0, digits - 3));
  return text.replaceAll("-", "−").replace("e+", "e");
}

// The shortest decimal number that is this float32.
export function exact(value) {
  const single = Math.fround(value);
  if (!Number.isFinite(single) || Number.isInteger(single)) return `${single}`;
  for (let digits = 1; digits < 9; digits++) {
    const text = `${Number(single.toPrecision(digits))}`;
    if (Math.fround(Number(text)) === single) return text;
  }
  return `${Number(single.toPrecision(9))}`;
}

// OH = floor((H + 2P - FH) / S) + 1 in numbers.
export function formula(name, axis) {
  const mn = (value) => m("mn", `${value}`), mo = (sign) => m("mo", sign);
  const padding = axis.before === axis.after ? [mn(2), mo("·"), mn(axis.before)]
    : [mn(axis.before), mo("+"), mn(axis.after)];
  const extent = axis.dilation === 1 ? [mn(axis.taps)]
    : [mo("("), mn(axis.dilation), mo("·"), mo("("), mn(axis.taps), mo("−"), mn(1), mo(")"), mo("+"), mn(1), mo(")")];
  const quotient = m("mfrac", m("mrow", mn(axis.size), mo("+"), padding, mo("−"), extent), mn(axis.stride));
  const whole = axis.rest ? [mo("⌊"), quotient, mo("⌋")] : [quotient];
  const math = m("math", m("mi", name), mo("="), whole, mo("+"), mn(1), mo("="), m("mn", `${axis.outputs}`));
  math.setAttribute("aria-label", `${name} = ${axis.formula}`);
  return math;
}
