/** The names that our models have for one and the same file: the first picture, the last one, a film. */
export const fieldNames = {
  start: ['image_url', 'start_frame_url', 'image'],
  end: ['end_image_url', 'end_frame_url', 'end_image'],
  video: ['video_url', 'motion_video_url', 'video'],
} as const
