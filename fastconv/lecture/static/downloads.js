// Files for whoever looks at the page.

export function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// All canvases that are shown, side by side in rows.
export async function png(canvases) {
  const shown = canvases.filter((canvas) => canvas.width && canvas.offsetParent);
  const gap = 16, most = 2400;
  let x = gap, y = gap, row = 0, width = 0;
  const places = shown.map((canvas) => {
    if (x > gap && x + canvas.width + gap > most) [x, y, row] = [gap, y + row + gap, 0];
    const place = [canvas, x, y];
    x += canvas.width + gap;
    row = Math.max(row, canvas.height);
    width = Math.max(width, x);
    return place;
  });
  const sheet = new OffscreenCanvas(Math.max(1, width), y + row + gap), context = sheet.getContext("2d");
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(0, 0, sheet.width, sheet.height);
  for (const [canvas, left, top] of places) context.drawImage(canvas, left, top);
  return sheet.convertToBlob({ type: "image/png" });
}
