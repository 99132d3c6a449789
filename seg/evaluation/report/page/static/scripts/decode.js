// From the text of a tile to its pixels.

const NO_VALUE = 255;

/** The bytes of a deflated tile; each pixel but a row's first is stored as the difference to its left neighbour. */
async function inflated(text, width) {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const pixels = new Uint8Array(await new Response(stream).arrayBuffer());
  for (let i = 0; i < pixels.length; i += 1) {
    if (i % width !== 0) pixels[i] += pixels[i - 1];
  }
  return pixels;
}

/** A picture that a canvas can draw. */
async function picture(text) {
  const image = new Image();
  image.src = `data:image/webp;base64,${text}`;
  await image.decode();
  return image;
}

/** Pixel values as a canvas of their colours; a value without a colour is transparent. */
function painted(values, width, colours) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = values.length / width;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  values.forEach((value, i) => {
    if (colours[value]) pixels.data.set(colours[value], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  return canvas;
}
