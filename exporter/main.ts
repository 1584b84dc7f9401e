#!/usr/bin/env node
import { run } from './cli.ts';
import { keepHeapSmall } from './heap.ts';

keepHeapSmall();
process.exitCode = await run(process.argv);
