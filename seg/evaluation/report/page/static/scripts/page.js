// Map and download of the page.

function readout(map) {
  const { words } = map.data;
  const found = map.asked && map.valuesAt(map.asked);
  if (!found) return words["map.point"];
  const { x, y, code, percent } = found;
  const [a, b, c, d, e, f] = map.scene.transform;
  const [column, row] = [Math.floor(x) + 0.5, Math.floor(y) + 0.5];
  const digits = map.scene.pixel_size_m && Math.abs(a) + Math.abs(b) < 0.01 ? 6 : 1;
  const place = map.scene.crs
    ? `${(a * column + b * row + c).toFixed(digits)}, ${(d * column + e * row + f).toFixed(digits)} (${map.scene.crs})`
    : said(words, "map.pixel", { column: Math.floor(x), row: Math.floor(y) });
  const states = [words.other, words.cropland, words["map.nothing"]];
  const says = (what, value) => said(words, "map.says", { what, value });
  const parts = [place];
  if (code !== undefined) {
    parts.push(says(words["map.mapped"], states[Math.floor(code / 3)]), says(words["map.reference"], states[code % 3]));
  }
  if (percent !== undefined && percent !== NO_VALUE) parts.push(says(words.probability, percent + words.percent));
  return parts.join(" · ");
}

function resolution(map) {
  const { scene, data } = map;
  const step = scene.width / scene.levels[0].width;
  const metres = scene.pixel_size_m && Number((scene.pixel_size_m * step).toPrecision(3));
  const size = metres ? `${metres} m` : `${Number(step.toPrecision(3))} px`;
  return step === 1
    ? said(data.words, "map.full", { size })
    : said(data.words, "map.reduced", { step: Number(step.toPrecision(2)), size });
}

function drawScaleBar(map) {
  const bar = byId("scalebar");
  bar.hidden = !map.scene.pixel_size_m;
  if (bar.hidden) return;
  const { text, width } = scaleBar(map.scene.pixel_size_m / map.view.scale, 140);
  bar.firstElementChild.textContent = text;
  bar.firstElementChild.style.width = `${width}px`;
}

function startMap() {
  const data = JSON.parse(byId("map-data").textContent);
  const form = byId("map-controls");
  if (!data.scenes.length || typeof DecompressionStream === "undefined") {
    byId("readout").textContent = data.words["map.old"];
    return;
  }
  const told = () => {
    if (!map) return;
    byId("readout").textContent = readout(map);
    drawScaleBar(map);
  };
  const map = new SceneMap(byId("map-canvas"), data, () => told());
  const choose = (index) => {
    map.asked = null;
    map.point = null;
    map.choose(index);
    offerLayers(map, form);
    byId("resolution").textContent = resolution(map);
  };
  followPointers(map);
  followWheel(map);
  followKeys(map, form);
  followForm(map, form);
  choose(0);
  byId("scene")?.addEventListener("change", (event) => choose(Number(event.target.value)));
  for (const button of document.querySelectorAll("button.show")) {
    button.addEventListener("click", () => showPlace(map, choose, button.dataset));
  }
}

/** Scroll to the map and show the errors of a window. */
function showPlace(map, choose, { scene, column, row, width, height }) {
  const index = map.data.scenes.findIndex(({ name }) => name === scene);
  if (byId("scene")) byId("scene").value = index;
  choose(index);
  document.querySelector("[name=overlay][value=errors]").click();
  map.highlight({ x: Number(column), y: Number(row), width: Number(width), height: Number(height) });
  map.canvas.focus({ preventScroll: true });
  byId("map").scrollIntoView();
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([byId("accuracy").textContent], { type: "application/json" }));
  link.download = "accuracy.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

startMap();
byId("download").addEventListener("click", download);
