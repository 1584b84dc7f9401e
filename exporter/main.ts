#!/usr/bin/env -S node --max-semi-space-size=4
import { createRequire } from 'node:module';

// import opens all modules at the same time, which takes more descriptors than a low limit has; require() opens one.
const require = createRequire(import.meta.url);
const { keepHeapSmall } = require('./heap.js') as typeof import('./heap.ts');
const { run } = require('./cli.js') as typeof import('./cli.ts');

keepHeapSmall();
process.exitCode = await run(process.argv);
