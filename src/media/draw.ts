import { type Canvas, createCanvas, type Image } from '@napi-rs/canvas'

const jpegQuality = 85
const pictureQuality = 95
const thumbnailWidth = 480

/** Poster and thumbnail of a video's frame. */
export async function drawPreviews(
  frame: Canvas,
  size: { width: number; height: number },
): Promise<{ poster: Uint8Array; thumbnail: Uint8Array }> {
  const poster = scaled(frame, size.width, size.height)
  return {
    poster: await poster.encode('jpeg', jpegQuality),
    thumbnail: await drawThumbnail(poster, size),
  }
}

/** `picture` is drawn on white, since JPEG knows no transparency. */
export async function drawThumbnail(
  picture: Canvas | Image,
  size: { width: number; height: number },
): Promise<Uint8Array> {
  const width = Math.min(thumbnailWidth, size.width)
  const height = Math.max(1, Math.round((size.height * width) / size.width))
  // One step of more than a half skips pixels, which shows as jagged edges.
  let step = picture
  while (step.width >= 2 * width && step.width > 2) {
    step = scaled(step, Math.ceil(step.width / 2), Math.ceil(step.height / 2))
  }
  return scaled(step, width, height).encode('jpeg', jpegQuality)
}

/** The picture in a size, over white. */
export async function encodePicture(
  picture: Canvas | Image,
  type: 'image/jpeg' | 'image/png',
  { width, height }: { width: number; height: number },
): Promise<Uint8Array> {
  const canvas = scaled(picture, width, height)
  return type === 'image/jpeg' ? canvas.encode('jpeg', pictureQuality) : canvas.encode('png')
}

/** Whether nothing shines through. Looks at some rows at a time, as all pixels at once take as much memory as the picture. */
export function isOpaque(picture: Canvas | Image): boolean {
  const rows = 64
  const { width, height } = picture
  for (let top = 0; top < height; top += rows) {
    const context = createCanvas(width, rows).getContext('2d')
    const shown = Math.min(rows, height - top)
    context.drawImage(picture, 0, top, width, shown, 0, 0, width, shown)
    const { data } = context.getImageData(0, 0, width, shown)
    for (let at = 3; at < data.length; at += 4) if (data[at] !== 255) return false
  }
  return true
}

/** How bright a picture is on average and how much that varies over it, both on a scale of 0 to 255. */
export function measureLight(picture: Canvas): { mean: number; deviation: number } {
  const { data } = scaled(picture, 64, 36).getContext('2d').getImageData(0, 0, 64, 36)
  let sum = 0
  let squares = 0
  for (let at = 0; at < data.length; at += 4) {
    const luma = 0.2126 * data[at]! + 0.7152 * data[at + 1]! + 0.0722 * data[at + 2]!
    sum += luma
    squares += luma * luma
  }
  const mean = sum / (64 * 36)
  return { mean, deviation: Math.sqrt(Math.max(0, squares / (64 * 36) - mean * mean)) }
}

function scaled(picture: Canvas | Image, width: number, height: number): Canvas {
  const canvas = createCanvas(width, height)
  const context = canvas.getContext('2d')
  context.imageSmoothingQuality = 'high'
  context.fillStyle = 'white'
  context.fillRect(0, 0, width, height)
  context.drawImage(picture, 0, 0, width, height)
  return canvas
}
