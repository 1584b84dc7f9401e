/** The environment in which packages, images and the first line of main.js start the exporter: decision 0058. */
export const AS_INSTALLED = {
  NODE_OPTIONS: '--max-semi-space-size=4',
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '131072',
} as const;
