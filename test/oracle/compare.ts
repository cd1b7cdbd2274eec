import type { Canvas } from '@napi-rs/canvas'
import type { PictureCase } from './scene.ts'

type Expected = Pick<PictureCase, 'name' | 'width' | 'height' | 'quarters' | 'tolerance'>

/** What of a picture is not as expected: its size, or a colour at five places of a quarter. */
export function differences(expected: Expected, canvas: Canvas): string[] {
  const { name, width, height, quarters, tolerance } = expected
  if (canvas.width !== width || canvas.height !== height) {
    return [`${name}: ${canvas.width} × ${canvas.height}, not ${width} × ${height}`]
  }
  const context = canvas.getContext('2d')
  return quarters.flatMap((colour, index) => {
    const [left, top] = [(index % 2) * (width / 2), (index >> 1) * (height / 2)]
    for (const [across, down] of [
      [0.5, 0.5],
      [0.15, 0.2],
      [0.85, 0.2],
      [0.15, 0.8],
      [0.85, 0.8],
    ] as const) {
      const [x, y] = [Math.floor(left + (across * width) / 2), Math.floor(top + (down * height) / 2)]
      const found = [...context.getImageData(x, y, 1, 1).data]
      const most = Math.max(...found.map((part, place) => Math.abs(part - colour[place]!)))
      if (most > tolerance) return [`${name}: ${found} at ${x}, ${y}, not ${colour}`]
    }
    return []
  })
}
