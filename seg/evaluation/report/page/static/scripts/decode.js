// Decoding of a tile's text into pixels.

const NO_VALUE = 255;

/** Inflate a tile; all pixels but the first of a row are stored as differences to their left neighbour. */
async function inflated(text, width) {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const pixels = new Uint8Array(await new Response(stream).arrayBuffer());
  for (let i = 0; i < pixels.length; i += 1) {
    if (i % width !== 0) pixels[i] += pixels[i - 1];
  }
  return pixels;
}

/** Decode a WebP picture for a canvas. */
async function picture(text) {
  const image = new Image();
  image.src = `data:image/webp;base64,${text}`;
  await image.decode();
  return image;
}

/** Paint pixel values in their colours on a canvas; a value without a colour is transparent. */
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
