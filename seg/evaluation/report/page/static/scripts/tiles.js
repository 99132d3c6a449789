// Tiles of one scene, decoded when they are first drawn.

class TileStore {
  constructor(scene, side, colours, changed) {
    this.scene = scene;
    this.side = side;
    this.colours = colours;
    this.changed = changed;
    this.tiles = new Map();
    this.pending = 0;
  }

  /** Tile of a level; null while it is being decoded. */
  tile(level, column, row) {
    const key = `${level}/${column}/${row}`;
    if (!this.tiles.has(key)) this.load(key, level, column, row);
    const tile = this.tiles.get(key);
    return tile.ready ? tile : null;
  }

  async load(key, level, column, row) {
    const { width, height, codes, probability, image } = this.scene.levels[level];
    const index = row * Math.ceil(width / this.side) + column;
    const tile = {
      ready: false,
      width: Math.min(this.side, width - column * this.side),
      height: Math.min(this.side, height - row * this.side),
      layers: {},
    };
    this.tiles.set(key, tile);
    this.pending += 1;
    [tile.codes, tile.percents, tile.layers.image] = await Promise.all([
      inflated(codes[index], tile.width),
      probability && inflated(probability[index], tile.width),
      image && picture(image[index]),
    ]);
    tile.ready = true;
    this.pending -= 1;
    this.changed();
  }

  /** Picture of a layer of a tile; null if the scene lacks the layer. */
  drawn(tile, layer) {
    if (!(layer in tile.layers)) {
      const values = layer === "probability" ? tile.percents : tile.codes;
      tile.layers[layer] = values ? painted(values, tile.width, this.colours[layer]) : null;
    }
    return tile.layers[layer];
  }
}
