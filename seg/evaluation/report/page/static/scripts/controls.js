// Control of the map by pointer, wheel, keys and form.

const OVERLAYS = ["prediction", "reference", "errors", "probability", "none"];
const STEP = 80;
const ZOOM_STEP = 1.5;

function byId(id) {
  return document.getElementById(id);
}

/** Fill a sentence with its values. */
function said(words, key, values = {}) {
  return Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), words[key]);
}

function pointOf(event, canvas) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

/** Drag to move, pinch to zoom. */
function followPointers(map) {
  const { canvas } = map;
  const down = new Map();
  const between = () => {
    const [one, other] = [...down.values()];
    return { distance: Math.hypot(one.x - other.x, one.y - other.y), x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, pointOf(event, canvas));
  });
  canvas.addEventListener("pointermove", (event) => {
    const [before, after] = [down.get(event.pointerId), pointOf(event, canvas)];
    if (!before) {
      pointAt(map, after, false);
    } else if (down.size === 1) {
      map.move(before.x - after.x, before.y - after.y);
      down.set(event.pointerId, after);
    } else {
      const start = between();
      down.set(event.pointerId, after);
      const end = between();
      map.zoom(end.distance / Math.max(start.distance, 1), end);
      map.move(start.x - end.x, start.y - end.y);
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => down.delete(event.pointerId));
  }
}

/** Zoom with the wheel only if the map has the focus or Ctrl is held; otherwise the page scrolls. */
function followWheel(map) {
  const hint = byId("wheel-hint");
  let hiding = 0;
  map.canvas.addEventListener(
    "wheel",
    (event) => {
      if (document.activeElement !== map.canvas && !event.ctrlKey) {
        hint.hidden = false;
        clearTimeout(hiding);
        hiding = setTimeout(() => {
          hint.hidden = true;
        }, 1500);
        return;
      }
      event.preventDefault();
      hint.hidden = true;
      map.zoom(2 ** (-event.deltaY / (event.deltaMode ? 6 : 240)), pointOf(event, map.canvas));
    },
    { passive: false },
  );
}

function followKeys(map, form) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const others = {
    "+": () => map.zoom(ZOOM_STEP),
    "=": () => map.zoom(ZOOM_STEP),
    "-": () => map.zoom(1 / ZOOM_STEP),
    0: () => map.fit(),
    i: () => byId("layer-image").click(),
  };
  OVERLAYS.forEach((layer, i) => {
    others[i + 1] = () => form.querySelector(`[name=overlay][value=${layer}]`).click();
  });
  map.canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = moves[event.key];
    const other = others[event.key.toLowerCase()];
    if (!move && !other) return;
    event.preventDefault();
    if (move) map.move(STEP * move[0], STEP * move[1]);
    else other();
    pointAt(map, { x: map.size.width / 2, y: map.size.height / 2 }, true);
  });
}

/** Show the values under a point; after a key this is the middle of the map, marked by a cross. */
function pointAt(map, point, marked) {
  map.point = marked ? point : null;
  map.asked = point;
  map.draw();
}

function followForm(map, form) {
  const { words } = map.data;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    const overlay = form.elements.overlay.value;
    byId("opacity-value").textContent = `${byId("opacity").value}${words.percent}`;
    for (const list of document.querySelectorAll(".legend [data-layer]")) {
      list.hidden = !list.dataset.layer.split(" ").includes(overlay);
    }
    map.show({ image: byId("layer-image").checked, overlay, opacity: byId("opacity").value / 100 });
  });
  byId("zoom-in").addEventListener("click", () => map.zoom(ZOOM_STEP));
  byId("zoom-out").addEventListener("click", () => map.zoom(1 / ZOOM_STEP));
  byId("zoom-fit").addEventListener("click", () => map.fit());
}

/** Disable layers that the scene lacks. */
function offerLayers(map, form) {
  const [finest] = map.scene.levels;
  byId("layer-image").disabled = !finest.image;
  const probability = form.querySelector("[value=probability]");
  probability.disabled = !finest.probability;
  if (probability.disabled && probability.checked) form.querySelector("[value=prediction]").click();
}
