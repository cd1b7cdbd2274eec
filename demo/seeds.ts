/** The two requests that the published pages print (their curl examples), word for word. */
export const seedJobs = [
  {
    model: 'kling/kling-omni-o1/image-to-video',
    input: {
      prompt: 'The cat slowly turns its head and blinks',
      image_url: 'https://example.com/image.jpg',
      quality: 'std',
      duration: '5',
      aspect_ratio: '16:9',
    },
  },
  {
    model: 'kling-plus/kling-o3-standard/text-to-video',
    input: {
      prompt: 'A neon-lit Tokyo street at night with rain reflecting the storefront signs',
      aspect_ratio: '16:9',
      duration: '5',
      has_sound: 'false',
    },
  },
] as const
