#!/usr/bin/env -S MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072 node --max-semi-space-size=4
import { createRequire } from 'node:module';

// `import` opens all modules at once and can exceed a low descriptor limit; require() opens one at a time.
const require = createRequire(import.meta.url);
const { keepHeapSmall } = require('./daemon/heap.js') as typeof import('./daemon/heap.ts');
const { run } = require('./cli/cli.js') as typeof import('./cli/cli.ts');

keepHeapSmall();
process.exitCode = await run(process.argv);
