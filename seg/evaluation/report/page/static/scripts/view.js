// Views of the map: a centre in pixels of the scene, and the size of a scene pixel in CSS pixels.

const LARGEST_SCALE = 48;

/** View that fits a rectangle of the scene. */
function fitted(rectangle, size, margin = 1) {
  const scale = Math.min(size.width / rectangle.width, size.height / rectangle.height) / margin;
  return {
    x: rectangle.x + rectangle.width / 2,
    y: rectangle.y + rectangle.height / 2,
    scale: Math.min(scale, LARGEST_SCALE),
  };
}

/** View whose centre is limited to the scene and whose scale is limited. */
function bounded(view, scene, size) {
  const whole = fitted({ x: 0, y: 0, width: scene.width, height: scene.height }, size).scale;
  return {
    x: Math.min(Math.max(view.x, 0), scene.width),
    y: Math.min(Math.max(view.y, 0), scene.height),
    scale: Math.min(Math.max(view.scale, whole / 2), Math.max(LARGEST_SCALE, whole)),
  };
}

/** View after moving by CSS pixels. */
function moved(view, right, down) {
  return { ...view, x: view.x + right / view.scale, y: view.y + down / view.scale };
}

/** View after zooming around a point of the map, which stays in place. */
function zoomed(view, factor, point, size) {
  const at = sceneAt(view, point, size);
  const scale = view.scale * factor;
  return { x: at.x - (point.x - size.width / 2) / scale, y: at.y - (point.y - size.height / 2) / scale, scale };
}

/** Position in the scene under a point of the map. */
function sceneAt(view, point, size) {
  return {
    x: view.x + (point.x - size.width / 2) / view.scale,
    y: view.y + (point.y - size.height / 2) / view.scale,
  };
}

/** Level to draw: the coarsest level whose pixels are not larger than those of the screen, else the finest. */
function levelFor(scene, view, ratio) {
  for (let i = scene.levels.length - 1; i > 0; i -= 1) {
    if ((scene.width / scene.levels[i].width) * view.scale * ratio <= 1.2) return i;
  }
  return 0;
}

/** Round length for a scale bar, and its width in CSS pixels, at most `room`. */
function scaleBar(metresPerPixel, room) {
  const longest = metresPerPixel * room;
  const power = 10 ** Math.floor(Math.log10(longest));
  const metres = [5, 2, 1].map((step) => step * power).find((length) => length <= longest);
  const text = metres >= 1000 ? `${metres / 1000} km` : `${metres} m`;
  return { text, width: metres / metresPerPixel };
}
