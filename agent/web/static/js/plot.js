// Points on a canvas, painted by the processor: 200,000 take a few hundredths of a second, the
// same in every browser, with no graphics driver and no code made at run time.

const SHOWN = 1, HIDDEN = 0;

export class Plot {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.xy = new Float32Array(0);
    this.colours = new Uint8Array(0); // three bytes a point
    this.state = new Uint8Array(0);
    this.lit = null; // Uint8Array, 1 where a point is selected
    this.background = [255, 255, 255];
    this.quiet = [213, 214, 211];
    this.view = { x: 0, y: 0, scale: 1 };
    this.waiting = false;
  }

  get count() {
    return this.xy.length / 2;
  }

  load(xy) {
    this.xy = xy;
    this.colours = new Uint8Array((xy.length / 2) * 3).fill(128);
    this.state = new Uint8Array(xy.length / 2).fill(SHOWN);
    this.lit = null;
    this.fit();
  }

  show(point, shown) {
    this.state[point] = shown ? SHOWN : HIDDEN;
  }

  fit() {
    const { xy } = this;
    let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < xy.length; i += 2) {
      if (xy[i] < x0) x0 = xy[i];
      if (xy[i] > x1) x1 = xy[i];
      if (xy[i + 1] < y0) y0 = xy[i + 1];
      if (xy[i + 1] > y1) y1 = xy[i + 1];
    }
    const { clientWidth: w, clientHeight: h } = this.canvas;
    const room = 0.9;
    const scale = Math.min((room * w) / Math.max(1e-9, x1 - x0), (room * h) / Math.max(1e-9, y1 - y0));
    this.fitted = true;
    this.view = { x: (x0 + x1) / 2, y: (y0 + y1) / 2, scale: Number.isFinite(scale) && scale > 0 ? scale : 1 };
    this.draw();
  }

  // Screen (CSS pixels from the canvas's corner) to data, and back.
  toData(px, py) {
    const { x, y, scale } = this.view;
    return [x + (px - this.canvas.clientWidth / 2) / scale, y - (py - this.canvas.clientHeight / 2) / scale];
  }

  toScreen(dx, dy) {
    const { x, y, scale } = this.view;
    return [(dx - x) * scale + this.canvas.clientWidth / 2, (y - dy) * scale + this.canvas.clientHeight / 2];
  }

  // After the canvas changed its size: all cells again, unless someone looks at a part of them.
  resized() {
    if (this.fitted) this.fit();
    else this.draw();
  }

  zoom(factor, px = this.canvas.clientWidth / 2, py = this.canvas.clientHeight / 2) {
    this.fitted = false;
    const [dx, dy] = this.toData(px, py);
    this.view.scale *= factor;
    const [nx, ny] = this.toData(px, py);
    this.view.x += dx - nx;
    this.view.y += dy - ny;
    this.draw();
  }

  move(px, py) {
    this.fitted = false;
    this.view.x -= px / this.view.scale;
    this.view.y += py / this.view.scale;
    this.draw();
  }

  nearest(px, py, reach = 12) {
    let best = -1, least = reach * reach;
    for (let i = 0; i < this.count; i++) {
      if (this.state[i] === HIDDEN) continue;
      const [x, y] = this.toScreen(this.xy[2 * i], this.xy[2 * i + 1]);
      const d = (x - px) ** 2 + (y - py) ** 2;
      if (d < least) [best, least] = [i, d];
    }
    return best;
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint();
      this.ondrawn?.();
    });
  }

  paint() {
    const { canvas } = this;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const w = Math.round(canvas.clientWidth * ratio), h = Math.round(canvas.clientHeight * ratio);
    if (!w || !h) return;
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    const image = this.context.createImageData(w, h);
    const pixels = new Uint32Array(image.data.buffer);
    const [r, g, b] = this.background;
    pixels.fill((255 << 24) | (b << 16) | (g << 8) | r);
    const area = (w * h) / Math.max(1, this.count);
    const radius = Math.max(0.75 * ratio, Math.min(4.2 * ratio, Math.sqrt(area) * 0.16)) * Math.min(2.2, Math.max(1, this.zoomed() ** 0.4));
    const stamp = disc(radius);
    if (this.lit) {
      this.pass(image.data, w, h, ratio, stamp, 0, 0.55);
      this.pass(image.data, w, h, ratio, stamp, 1, 1);
    } else {
      this.pass(image.data, w, h, ratio, stamp, -1, 1);
    }
    this.context.putImageData(image, 0, 0);
  }

  zoomed() {
    const { clientWidth: w, clientHeight: h } = this.canvas;
    if (this.loaded !== this.xy) {
      this.loaded = this.xy;
      this.whole = this.view.scale;
      this.wholeOf = Math.min(w, h);
    }
    return this.view.scale / (this.whole * (Math.min(w, h) / this.wholeOf));
  }

  // which: -1 all points; 0 those that are not selected, in grey; 1 the selected ones.
  pass(data, w, h, ratio, stamp, which, strength) {
    const { xy, colours, state, lit, quiet } = this;
    const { x, y, scale } = this.view;
    const k = scale * ratio, cx = w / 2 - x * k, cy = h / 2 + y * k;
    const { size, half, cover } = stamp;
    for (let i = 0, n = this.count; i < n; i++) {
      if (state[i] === HIDDEN || (which >= 0 && lit[i] !== which)) continue;
      const px = Math.round(xy[2 * i] * k + cx) - half, py = Math.round(cy - xy[2 * i + 1] * k) - half;
      if (px < 0 || py < 0 || px + size > w || py + size > h) continue;
      const grey = which === 0;
      const r = grey ? quiet[0] : colours[3 * i], g = grey ? quiet[1] : colours[3 * i + 1], b = grey ? quiet[2] : colours[3 * i + 2];
      let c = 0;
      for (let row = 0; row < size; row++) {
        let at = ((py + row) * w + px) * 4;
        for (let column = 0; column < size; column++, at += 4, c++) {
          const a = cover[c] * strength;
          if (a === 0) continue;
          data[at] += (r - data[at]) * a;
          data[at + 1] += (g - data[at + 1]) * a;
          data[at + 2] += (b - data[at + 2]) * a;
        }
      }
    }
  }
}

// How much of each pixel a disc covers.
function disc(radius) {
  const half = Math.ceil(radius), size = 2 * half + 1;
  const cover = new Float32Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const distance = Math.hypot(row - half, column - half);
      cover[row * size + column] = Math.max(0, Math.min(1, radius + 0.5 - distance)) * 0.92;
    }
  }
  return { size, half, cover };
}
