#!/usr/bin/env -S node --max-semi-space-size=4
import { run } from './cli.ts';
import { keepHeapSmall } from './heap.ts';

keepHeapSmall();
process.exitCode = await run(process.argv);
