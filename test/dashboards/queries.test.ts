import assert from 'node:assert/strict';
import { before, describe, it, type TestContext } from 'node:test';
