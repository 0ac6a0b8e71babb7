// Curves over steps or epochs: each { points: [[x, y], ...], colour, dash, wide }, on axes with the numbers at their ends.

import { blank } from "./canvas.js";
import { show } from "./dom.js";

const LEFT = 38, BELOW = 16, ABOVE = 8, RIGHT = 8;

export function curves(canvas, width, height, lines, { low = 0, high, from = 0, to, mark }) {
  const context = blank(canvas, width, height);
  const [w, t] = [width - LEFT - RIGHT, height - ABOVE - BELOW];
  const x = (value) => LEFT + ((value - from) / (to - from || 1)) * w;
  const y = (value) => ABOVE + (1 - (Math.min(value, high) - low) / (high - low || 1)) * t;
  const text = getComputedStyle(canvas).color;
  [context.fillStyle, context.font] = [text, "11px system-ui, sans-serif"];
  context.textAlign = "right";
  for (const value of [low, (low + high) / 2, high]) {
    context.globalAlpha = 0.25;
    context.fillRect(LEFT, y(value), w, 1);
    context.globalAlpha = 1;
    context.fillText(show(value, 3), LEFT - 4, y(value) + 4);
  }
  context.fillText(`${to}`, width - RIGHT, height - 3);
  context.textAlign = "left";
  context.fillText(`${from}`, LEFT, height - 3);
  if (mark) {
    context.textAlign = "center";
    context.fillText(mark, LEFT + w / 2, height - 3);
  }
  context.lineJoin = "round";
  for (const { points, colour, dash = [], wide = 1.5 } of lines) {
    [context.strokeStyle, context.fillStyle, context.lineWidth] = [colour, colour, wide];
    context.setLineDash(dash);
    context.beginPath();
    points.forEach((point, i) => context[i ? "lineTo" : "moveTo"](x(point[0]), y(point[1])));
    context.stroke();
    if (points.length < 30 && wide > 1) for (const point of points) context.fillRect(x(point[0]) - 2, y(point[1]) - 2, 4, 4);
  }
  context.setLineDash([]);
}

// At most `most` points of many: the mean of each stretch.
export function thinned(values, most) {
  const every = Math.ceil(values.length / most) || 1, points = [];
  for (let i = 0; i < values.length; i += every) {
    const some = values.slice(i, i + every);
    points.push([i + (some.length + 1) / 2, some.reduce((a, b) => a + b, 0) / some.length]);
  }
  return points;
}
