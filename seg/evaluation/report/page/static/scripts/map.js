// Map of one scene at a time on a canvas.

class SceneMap {
  constructor(canvas, data, told) {
    this.canvas = canvas;
    this.data = data;
    this.told = told;
    this.colours = { ...data.palettes, probability: data.ramp };
    this.shown = { image: true, overlay: "prediction", opacity: 0.7 };
    this.point = null;
    this.frame = null;
    this.waiting = 0;
    this.choose(0);
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  get size() {
    return { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
  }

  /** Show a whole scene. */
  choose(index) {
    this.scene = this.data.scenes[index];
    this.store = new TileStore(this.scene, this.data.tile, this.colours, () => this.draw());
    this.frame = null;
    this.fit();
  }

  fit() {
    this.whole = true;
    this.look(fitted({ x: 0, y: 0, width: this.scene.width, height: this.scene.height }, this.size, 1.04));
  }

  /** Show a rectangle of the scene with a frame around it. */
  highlight(rectangle) {
    this.frame = rectangle;
    this.whole = false;
    this.look(fitted(rectangle, this.size, 1.6));
  }

  look(view) {
    this.view = bounded(view, this.scene, this.size);
    this.draw();
  }

  move(right, down) {
    this.whole = false;
    this.look(moved(this.view, right, down));
  }

  zoom(factor, point) {
    this.whole = false;
    const { width, height } = this.size;
    this.look(zoomed(this.view, factor, point ?? { x: width / 2, y: height / 2 }, this.size));
  }

  show(change) {
    Object.assign(this.shown, change);
    this.draw();
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.size.width * ratio);
    this.canvas.height = Math.round(this.size.height * ratio);
    if (this.whole) this.fit();
    else this.look(this.view);
  }

  /** Draw once before the next frame, even if called several times. */
  draw() {
    this.canvas.dataset.state = "drawing";
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.drawNow();
    });
  }

  drawNow() {
    const context = this.canvas.getContext("2d");
    const ratio = this.canvas.width / Math.max(this.size.width, 1);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const level = levelFor(this.scene, this.view, ratio);
    const step = this.scene.width / this.scene.levels[level].width;
    context.imageSmoothingEnabled = step * this.view.scale * ratio < 1;
    for (const { column, row } of this.visible(level)) this.drawTile(context, level, column, row, ratio);
    if (this.frame) this.drawFrame(context, ratio);
    if (this.point) this.drawCross(context, ratio);
    this.report();
  }

  /** Columns and rows of the visible tiles of a level. */
  visible(level) {
    const { width, height } = this.scene.levels[level];
    const side = (this.data.tile * this.scene.width) / width;
    const start = sceneAt(this.view, { x: 0, y: 0 }, this.size);
    const end = sceneAt(this.view, { x: this.size.width, y: this.size.height }, this.size);
    const last = { column: Math.ceil(width / this.data.tile) - 1, row: Math.ceil(height / this.data.tile) - 1 };
    const found = [];
    for (let row = Math.max(0, Math.floor(start.y / side)); row <= Math.min(last.row, end.y / side); row += 1) {
      for (let column = Math.max(0, Math.floor(start.x / side)); column <= Math.min(last.column, end.x / side); column += 1) {
        found.push({ column, row });
      }
    }
    return found;
  }

  drawTile(context, level, column, row, ratio) {
    const tile = this.store.tile(level, column, row);
    if (!tile) return;
    const { width, height } = this.scene.levels[level];
    const across = this.scene.width / width;
    const down = this.scene.height / height;
    const place = this.onCanvas(
      {
        x: column * this.data.tile * across,
        y: row * this.data.tile * down,
        width: tile.width * across,
        height: tile.height * down,
      },
      ratio,
    );
    const layers = [["image", this.shown.image ? 1 : 0], [this.shown.overlay, this.shown.opacity]];
    for (const [layer, opacity] of layers) {
      const picture = layer !== "none" && opacity > 0 ? this.store.drawn(tile, layer) : null;
      if (picture) {
        context.globalAlpha = opacity;
        context.drawImage(picture, place.x, place.y, place.width, place.height);
      }
    }
    context.globalAlpha = 1;
  }

  /** Rectangle of the scene in whole canvas pixels, so that tiles have no gaps and do not overlap. */
  onCanvas(rectangle, ratio) {
    const at = (value, centre, length) => Math.round(((value - centre) * this.view.scale + length / 2) * ratio);
    const x = at(rectangle.x, this.view.x, this.size.width);
    const y = at(rectangle.y, this.view.y, this.size.height);
    return {
      x,
      y,
      width: at(rectangle.x + rectangle.width, this.view.x, this.size.width) - x,
      height: at(rectangle.y + rectangle.height, this.view.y, this.size.height) - y,
    };
  }

  drawFrame(context, ratio) {
    const { x, y, width, height } = this.onCanvas(this.frame, ratio);
    this.stroke(context, ratio, () => context.strokeRect(x, y, width, height));
  }

  drawCross(context, ratio) {
    const [x, y, arm] = [this.point.x * ratio, this.point.y * ratio, 10 * ratio];
    this.stroke(context, ratio, () => {
      context.beginPath();
      context.moveTo(x - arm, y);
      context.lineTo(x + arm, y);
      context.moveTo(x, y - arm);
      context.lineTo(x, y + arm);
      context.stroke();
    });
  }

  /** Draw dark lines inside light lines, which are visible on any background. */
  stroke(context, ratio, lines) {
    for (const [colour, width] of [["#ffffff", 4], ["#111111", 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * ratio;
      lines();
    }
  }

  /** Position and decoded values under a point of the map; null outside the scene. */
  valuesAt(point) {
    const { x, y } = sceneAt(this.view, point, this.size);
    if (x < 0 || y < 0 || x >= this.scene.width || y >= this.scene.height) return null;
    const level = levelFor(this.scene, this.view, window.devicePixelRatio || 1);
    const { width, height } = this.scene.levels[level];
    const [column, row] = [Math.floor((x * width) / this.scene.width), Math.floor((y * height) / this.scene.height)];
    const { tile: side } = this.data;
    const tile = this.store.tile(level, Math.floor(column / side), Math.floor(row / side));
    const index = (row % side) * (tile?.width ?? 0) + (column % side);
    return { x, y, code: tile?.codes[index], percent: tile?.percents?.[index] };
  }

  /** Report the shown view to the page and in the attributes of the canvas. */
  report() {
    const { dataset } = this.canvas;
    [dataset.x, dataset.y, dataset.scale] = [this.view.x, this.view.y, this.view.scale];
    [dataset.image, dataset.overlay, dataset.opacity] = [this.shown.image, this.shown.overlay, this.shown.opacity];
    [dataset.scene, dataset.state] = [this.scene.name, this.store.pending ? "drawing" : "ready"];
    this.told();
  }
}
