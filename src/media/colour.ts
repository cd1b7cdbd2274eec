import type { VideoSample } from 'mediabunny'

/**
 * The visible pixels of a frame as RGBA. The codec library converts every frame as BT.601 whatever its tag says,
 * which turns the reds and greens of HD video visibly wrong, so BT.709 is converted here.
 */
export async function rgbaOf(sample: VideoSample, rgba: Uint8ClampedArray): Promise<void> {
  const { width, height } = sample.visibleRect
  // Untagged video is taken for what players take it for.
  const matrix = sample.colorSpace.matrix ?? (height >= 720 ? 'bt709' : 'smpte170m')
  if (sample.format !== 'I420' || matrix !== 'bt709') {
    const bytes = new Uint8Array(rgba.buffer, rgba.byteOffset, rgba.byteLength)
    // The type lacks what the standard has.
    await sample.copyTo(bytes, { format: 'RGBA' } as VideoFrameCopyToOptions)
    return
  }
  const planes = new Uint8Array(sample.allocationSize())
  const [luma, blue, red] = await sample.copyTo(planes)
  const fullRange = sample.colorSpace.fullRange === true
  const [black, gain, chromaGain] = fullRange ? [0, 1, 1] : [16, 255 / 219, 255 / 224]
  for (let y = 0, at = 0; y < height; y += 1) {
    const lumaRow = luma!.offset + y * luma!.stride
    const blueRow = blue!.offset + (y >> 1) * blue!.stride
    const redRow = red!.offset + (y >> 1) * red!.stride
    for (let x = 0; x < width; x += 1, at += 4) {
      const l = (planes[lumaRow + x]! - black) * gain
      const b = (planes[blueRow + (x >> 1)]! - 128) * chromaGain
      const r = (planes[redRow + (x >> 1)]! - 128) * chromaGain
      rgba[at] = l + 1.5748 * r
      rgba[at + 1] = l - 0.1873 * b - 0.4681 * r
      rgba[at + 2] = l + 1.8556 * b
      rgba[at + 3] = 255
    }
  }
}
